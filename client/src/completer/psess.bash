_psess() {
    local i is_new=
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            n | new) is_new=yes ;;
            --) [[ $is_new ]] && { _psess_program $((i + 1)) "$2"; return; } ;;
        esac
    done
    # Bash parts words at ':', '=' and '@' too: psess is told them as it would get them.
    local line=$COMP_LINE part last=-1 IFS=$'\n'
    local -a words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        part=${COMP_WORDS[i]}
        if ((last < 0)) || [[ $line == [[:blank:]]* ]] ||
            [[ $part != [:=@]* && ${words[last]} != *[:=@] ]]; then
            words[++last]=
        fi
        line=${line#*"$part"}
        # What stands behind the cursor is left out.
        [[ $i == "$COMP_CWORD" && $part != [:=@]* ]] && part=$2
        words[last]+=$part
    done
    COMPREPLY=($(COMPLETE=bash _CLAP_IFS=$IFS _CLAP_COMPLETE_INDEX=$last psess -- "${words[@]}"))
    # And bash takes the place of no more than the last part.
    local kept=${words[last]%"$2"}
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

# The program of a session and its arguments, as the shell completes them elsewhere.
_psess_program() {
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    else
        local IFS=$'\n'
        compopt -o filenames 2>/dev/null
        case $COMP_CWORD in
            "$1") COMPREPLY=($(compgen -A command -A directory -- "$2")) ;;
            *) COMPREPLY=($(compgen -A file -- "$2")) ;;
        esac
    fi
}

# Bash before 4.4 sorts what is offered.
complete -o bashdefault -o nosort -F _psess psess 2>/dev/null || complete -o bashdefault -F _psess psess
