# Completion of tusup for bash.
_tusup() {
	local word="${COMP_LINE:0:COMP_POINT}" current="${COMP_WORDS[COMP_CWORD]}" found
	word="${word##*[[:space:]]}"
	case "$current" in
	= | :) current= ;; # bash splits words at these characters
	esac
	[[ $word == @* ]] && current="$word" # but replaces this one with its @
	COMPREPLY=()
	while IFS= read -r found; do
		COMPREPLY+=("${found#"${word%"$current"}"}")
	done < <(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" "${COMP_WORDS[0]/#\~/$HOME}" complete-line 2>/dev/null)
}
complete -o bashdefault -o default -F _tusup tusup
