# Completion of tusup for fish.
function __tusup_complete
	set -lx COMP_LINE (commandline -cp)
	set -lx COMP_POINT
	set -l flag (string match -r -- '^--[^=]*=' (commandline -ct))
	tusup complete-line 2>/dev/null | while read -l found
		echo -- "$flag$found"
	end
end
complete -c tusup -a '(__tusup_complete)'
