#compdef tusup
# Completion of tusup for zsh.
_tusup() {
	local -a found
	found=(${(f)"$(COMP_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" COMP_POINT= ${~words[1]} complete-line 2>/dev/null)"})
	[[ $PREFIX == --*=* ]] && compset -P '*='
	if (( $#found )); then
		compadd -a found
	else
		_files
	fi
}
if [[ $funcstack[1] == _tusup ]]; then
	_tusup "$@" # loaded from a directory in fpath
else
	compdef _tusup tusup
fi
