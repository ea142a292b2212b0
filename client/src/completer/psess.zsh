
# The program of a session and its arguments are completed as elsewhere.
function _psess() {
    local at=${words[(i)--]}
    if (( at < CURRENT )) && [[ -n ${(M)words[2,at]:#(n|new)} ]]; then
        shift $at words
        (( CURRENT -= at ))
        _normal
    else
        _clap_dynamic_completer_psess
    fi
}

compdef _psess psess
