#!/usr/bin/env python3
"""Records what programs write to a terminal: makes the files in recordings/.

Each scenario runs in a pty, in name spaces of its own (so that no process and no host of the
machine at hand is in a recording), and is typed at whenever the program falls silent. A size
among what is typed resizes the terminal; the recording has `ESC ] 7777 ; COLUMNSxROWS BEL` there.

    unshare -mupf --mount-proc tests/oracle/record.py [scenario ...]
"""
import fcntl, os, pty, select, shutil, struct, subprocess, sys, tempfile, termios, time

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = [(24, 80), (50, 200)]

# Smaller, wider, back.
SMALL, WIDE, BACK = (16, 60), (30, 110), (24, 80)

# name: (command, what is typed, one piece each time the program is silent)
SCENARIOS = {
    "bash": (["bash", "--norc"], [
        "ls -l /usr\r", "echo \"$(seq 1 60)\"\r", "printf '\\e[1;31mred\\e[0m plain\\n'\r", "for i in 1 2 3; do echo $i; don\t\x7f\r",
        "e\r", "\x15", "echo " + "a very long command line that wraps at the margin " * 5 + "\r", "\x1b[A\x1b[A", "\x12seq", "\r", "cat /usr/share/common-licenses/BSD\r"]),
    "zsh": (["zsh", "-f", "-i"], [
        "PROMPT='%F{green}user@devbox%f:%~%# ' RPROMPT='%F{blue}right%f'\r", "ls /usr\r", "echo " + "words that wrap " * 8 + "\r", "\x1b[A\x1b[A", "\x01# \x05 end", "\x15",
        "autoload -U compinit; compinit -D; zstyle ':completion:*' menu select\r", "ls /u\t\t", "\t", "\x1b", "\x15", "for i in {1..40}; do\r", "echo $i\r", "done\r", "\x12words", "\r"]),
    "fish": (["fish", "--no-config"], [
        "ls /usr\r", "echo " + "words that wrap " * 8 + "\r", "ls /us\t\t", "\t\t", "\x1b", "\x15", "ec", "\x1b[C", "\r", "seq 1 40\r", "for i in 1 2\r", "echo $i\r", "end\r", "\x12wor", "\r"]),
    "resized-bash": (["bash", "--norc"], [
        "seq 1 50\r", "echo " + "words that wrap at the margin " * 6 + "\r", SMALL, "ls /usr\r", "a line that is being typed and is longer than sixty columns are", WIDE, "\x15", "echo 日本語日本語日本語日本語日本語日本語日本語日本語\r", BACK, "seq 1 9\r"]),
    "resized-vim": (["vim", "-u", "NONE", "-N", "-n", "text.c"], [":set number\r", "\x06\x06", SMALL, "/return\r", ":split\r", WIDE, "G", BACK, "gg", ":q\r", ":q!\r"]),
    "resized-less": (["less", "text.c"], [" ", " ", SMALL, " ", WIDE, "G", "b", BACK, "q"]),
    "resized-mc": (["mc", "--nosubshell"], ["", "\t", SMALL, "\x1b[B", WIDE, "\x1b9", BACK, "\x1b\x1b"]),
    "resized-fzf": (["sh", "-c", "seq 1 30; seq 1 500 | fzf --height 40%"], ["4", SMALL, "2", WIDE, "\x7f", BACK, "\r"]),
    "vim": (["vim", "-u", "NONE", "-N", "-n", "text.c"], [
        ":set number hlsearch\r", ":syntax on\r", "\x06\x06\x02", "/return\r", "n", "dd", "3dd", "u", "ohello\x1b", "50%", ":split\r", "\x17w", "G", ":q\r", "gg", "vjjjd", ":help\r", "\x06", ":q\r"]),
    "vim-quit": (["sh", "-c", "seq 1 40; vim -u NONE -N -n text.c; echo done; seq 1 10"], ["\x06", "x", ":q!\r"]),
    "less": (["less", "text.c"], [" ", " ", "b", "/int\r", "n", "G", "g", "-S\r", "\x1b[C", "h"]),
    "htop": (["htop", "-d", "5"], ["", "", "t", "\x1b[B\x1b[B", "\x1bOQ", "\x1b", ""]),
    "top": (["top", "-d", "0.3"], ["", "1", "c", "", "z", ""]),
    "mc": (["mc", "--nosubshell"], ["", "\t", "\x1b[B\x1b[B", "\r", "", "\x1b9", "\x1b[C", "\x1b[B", "\x1b\x1b", "\x1b0"]),
    "fzf": (["sh", "-c", "seq 1 500 | fzf --height 40%"], ["4", "2", "\x1b[A", "\x7f", "\x0b", "\r"]),
    "fzf-full": (["sh", "-c", "seq 1 500 | fzf --multi --border"], ["1", "\t\t\t", "\x0b\x0b", "9"]),
    "tmux": (["tmux", "-L", "rec", "-f", "/dev/null", "new", "bash --norc"], ["seq 1 30\r", "\x02%", "ls /\r", "\x02\"", "echo in a pane\r", "\x02o", "\x02[", "\x15\x15", "q", "\x02z"]),
    "git": (["sh", "-c", "git -c color.ui=always log -p --graph --stat | cat"], []),
    "git-less": (["sh", "-c", "git -c color.ui=always log --graph --oneline -p | less -R"], [" ", " ", "G"]),
    "cargo": (["cargo", "build", "--offline"], []),
    "progress": (["sh", "-c", "for i in $(seq 0 5 100); do printf '\\r\\033[K[%-20s] %3d%%' $(printf '#%.0s' $(seq 0 $((i / 5)))) $i; done; echo; for i in $(seq 5); do printf 'task %d\\nwait\\n\\033[1A\\033[2K' $i; done"], []),
    "man": (["man", "ls"], [" ", " ", "/sort\r", "G"]),
    "unicode": (["cat", "unicode.txt"], []),
    "unicode-vim": (["vim", "-u", "NONE", "-N", "-n", "--cmd", "set encoding=utf-8", "unicode.txt"], ["jjj", "A漢字\x1b", "x", "dd", "\x06"]),
    "colors": (["sh", "-c", "for i in $(seq 0 255); do printf '\\033[48;5;%dm %3d \\033[0m' $i $i; done; echo; for i in $(seq 0 60); do printf '\\033[38;2;%d;0;%dm#' $((i * 4)) $((255 - i * 4)); done; printf '\\033[0m\\n\\033[4:3mcurly\\033[0m \\033[1;3;9mall\\033[0m \\033[44m to the edge\\033[K\\033[0m\\n'; cat text.c | head -40"], []),
    "dialog": (["sh", "-c", "tput smcup; tput csr 2 10; tput cup 5 5; seq 1 30; tput smacs; echo lqqqk; tput rmacs; tput csr 0 23; printf '\\033[?25l\\033[?1000h\\033[?2004h\\033[3;5Hx\\0337'; sleep 0.3"], []),
}

UNICODE = "\n".join([
    "日本語のテキスト、中文字符，한국어 텍스트。", "漢字" * 70, "Ωλληνικά кириллица עברית العربية ไทย हिन्दी",
    "e\u0301a\u0308o\u0302 n\u0303 combining", "😀😃🎉🚀🦀 emoji", "👍🏽 👩‍👩‍👧 🇩🇪🇯🇵 ❤️ ☺️", "┌──┐│└┘ ░▒▓█ ▁▂▃▄", "a漢b字" * 50, "ｆｕｌｌ ﾊﾝｶｸ ½ ² ™ …", ""]) * 4

C_TEXT = "\n".join(f"int function_{n}(int a, const char *b)\n{{\n\t/* number {n} */\n\treturn a * {n} + b[{n % 7}];\n}}\n" for n in range(80))


def prepare(directory):
    os.makedirs(directory + "/src")
    open(directory + "/text.c", "w").write(C_TEXT)
    open(directory + "/unicode.txt", "w").write(UNICODE)
    open(directory + "/Cargo.toml", "w").write('[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n')
    open(directory + "/src/main.rs", "w").write("fn main() {\n    let unused = 1;\n    println!(\"hi\")\n}\n")
    git = ["git", "-C", directory, "-c", "user.name=A", "-c", "user.email=a@b"]
    subprocess.run(git + ["init", "-q"], check=True)
    for n in range(12):
        with open(directory + "/text.c", "a") as file:
            file.write(f"/* change {n} */\n")
        subprocess.run(git + ["add", "text.c"], check=True)
        subprocess.run(git + ["commit", "-qm", f"change number {n}", "--date", "2024-01-01T00:00:00"], check=True)


def record(name, command, typed, rows, columns, environment):
    pid, master = pty.fork()
    if pid == 0:
        os.chdir("/tmp/demo")
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvpe(command[0], command, environment)
    output, typed, quiet = b"", list(typed), 0
    started = time.monotonic()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    while time.monotonic() - started < 40 and len(output) < 200_000:
        if select.select([master], [], [], 0.25)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            output += data
            # What a terminal would answer, as far as programs wait for it.
            if b"\x1b[6n" in data:
                os.write(master, b"\x1b[1;1R")
            if b"\x1b[c" in data:
                os.write(master, b"\x1b[?62;22c")
        elif typed:
            piece = typed.pop(0)
            if isinstance(piece, tuple):
                output += b"\x1b]7777;%dx%d\x07" % piece[::-1]
                fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *piece, 0, 0))
            else:
                os.write(master, piece.encode())
        else:
            quiet += 1
            if quiet > 4:
                break
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass
    os.close(master)
    os.waitpid(pid, 0)
    path = f"{HERE}/recordings/{name}-{columns}x{rows}"
    open(path, "wb").write(output[:60_000])
    print(path, len(output))


def main():
    shutil.rmtree("/tmp/demo", ignore_errors=True)
    prepare("/tmp/demo")
    subprocess.run(["hostname", "devbox"])
    environment = {"TERM": "xterm-256color", "HOME": "/tmp/demo", "PATH": "/usr/local/cargo/bin:/usr/bin:/bin:/usr/sbin:/sbin" + ":" + os.environ["PATH"],
                   "LANG": "C.UTF-8", "PS1": "\\[\\e[32m\\]user@devbox\\[\\e[0m\\]:\\w$ ", "USER": "user", "SHELL": "/bin/bash", "LESSHISTFILE": "-"}
    for key in ("CARGO_HOME", "RUSTUP_HOME"):
        if key in os.environ:
            environment[key] = os.environ[key]
        elif os.path.isdir(os.path.expanduser("~/." + key.split("_")[0].lower())):
            environment[key] = os.path.expanduser("~/." + key.split("_")[0].lower())
    wanted = sys.argv[1:] or list(SCENARIOS)
    for name in wanted:
        command, typed = SCENARIOS[name]
        # Those that are resized begin in one size.
        for rows, columns in SIZES[:1 if name.startswith("resized") else None]:
            subprocess.run(["rm", "-rf", "/tmp/demo/target"])
            record(name, command, typed, rows, columns, environment)


main()
