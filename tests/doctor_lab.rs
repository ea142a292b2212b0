//! `psess probe`, `psess doctor` and `psess why` against a NAT that forgets, a real sshd and a real
//! kernel, whose settings are known. Skipped without root.
//!
//! `PSESS_LONG_TESTS=1` adds the timeouts that take minutes to measure. `tests/lab/causes` makes
//! every cause of a cut that the lab can make, and prints what `psess why` names.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use psess_harness::{Lab, LabOptions, World, eventually, python, skip};
use serde_json::Value;

fn world() -> World {
    World::new(env!("CARGO_BIN_EXE_psess"))
}

fn lab(world: &World, idle_timeout_s: u32, on_expiry: &'static str) -> Option<Lab> {
    let options = LabOptions {
        idle_timeout_s,
        on_expiry,
    };
    Lab::up(world, options)
}

/// Runs psess on the client's side, however long it takes: what it prints as JSON.
fn json(world: &World, lab: &Lab, arguments: &[&str]) -> Value {
    let output = lab
        .psess(world, arguments)
        .stdin(Stdio::null())
        .output()
        .expect("natlab runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stderr}"))
}

/// What doctor reports of the lab's server, with these options of ssh.
fn doctor(world: &World, lab: &Lab, options: &[&str]) -> Value {
    json(
        world,
        lab,
        &[&["doctor", "server", "--json"], options].concat(),
    )
}

fn seconds(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn probe_finds(timeout_s: u32, on_expiry: &'static str) {
    let world = world();
    let Some(lab) = lab(&world, timeout_s, on_expiry) else {
        return;
    };
    let max = format!("{}s", timeout_s * 2);
    let found = json(&world, &lab, &["probe", "server", "--json", "--max", &max]);
    let timeout = f64::from(timeout_s);
    let estimate = seconds(&found["estimate"]);
    assert!(
        (estimate - timeout).abs() <= (timeout * 0.1).max(1.0),
        "{timeout_s} s, {on_expiry}: {found}"
    );
    assert_eq!(found["manner"], on_expiry, "{found}");
    assert_eq!(found["complete"], true, "{found}");
    // What was measured is heeded from now on.
    let report = doctor(&world, &lab, &[]);
    let plain = &report["plain_ssh"];
    assert!(
        (seconds(&plain["after_seconds"]) - timeout).abs() <= timeout * 0.2,
        "{plain}"
    );
    assert_eq!(report["psess"], Value::Null, "{report}");
}

/// Measuring is waiting: labs of their own are measured at the same time.
fn probe_finds_all(timeouts_s: &[u32]) {
    std::thread::scope(|scope| {
        for &timeout_s in timeouts_s {
            for on_expiry in ["drop", "reset"] {
                scope.spawn(move || probe_finds(timeout_s, on_expiry));
            }
        }
    });
}

#[test]
fn probe_measures_a_nat_that_drops_and_one_that_resets() {
    probe_finds_all(&[7]);
}

#[test]
fn probe_says_when_alive_messages_of_sshd_hide_the_way() {
    let world = world();
    let Some(lab) = lab(&world, 12, "drop") else {
        return;
    };
    lab.fault("sshd restart --sshd-option ClientAliveInterval=5");
    let found = json(&world, &lab, &["probe", "server", "--json", "--max", "1m"]);
    assert_eq!(
        found["bound"]["by"], "sshd: ClientAliveInterval 5",
        "{found}"
    );
    assert_eq!(found["bound"]["manner"], "keeps-alive", "{found}");
    assert_eq!(seconds(&found["survives"]), 5.0, "{found}");
    assert_eq!(found["forgets"], Value::Null, "{found}");
}

#[test]
fn probe_measures_longer_timeouts() {
    if std::env::var_os("PSESS_LONG_TESTS").is_none() {
        return;
    }
    probe_finds_all(&[13, 30, 60]);
}

/// Any program on the client's side.
fn on_client(world: &World, lab: &Lab, program: &str) -> Command {
    let psess = lab.psess(world, ["--version"]);
    let arguments: Vec<_> = psess
        .get_args()
        .take_while(|argument| *argument != "psess")
        .map(ToOwned::to_owned)
        .collect();
    let mut command = world.command(psess.get_program());
    command.args(arguments).arg(program);
    command
}

/// How long an idle plain ssh lives, once it is up and something has happened to its way.
fn life_of_a_plain_ssh(world: &World, lab: &Lab, options: &[&str], fault: &str) -> Duration {
    let mut child = on_client(world, lab, "ssh")
        .args(options)
        .args(["server", "echo up; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("natlab runs");
    let stdin = child.stdin.take();
    let stdout = child.stdout.take().expect("it is piped");
    let mut up = String::new();
    BufReader::new(stdout).read_line(&mut up).expect("a line");
    assert_eq!(up, "up\n");
    let start = Instant::now();
    lab.fault(fault);
    child.wait().expect("a child can be waited for");
    drop(stdin);
    start.elapsed()
}

/// The rows of a report, each as its end, its setting and its effect.
fn rows(report: &Value) -> Vec<(&str, &str, &str)> {
    let findings = report["findings"].as_array().expect("a table");
    findings
        .iter()
        .map(|finding| {
            let word = |field: &str| finding[field].as_str().unwrap_or_default();
            (word("end"), word("setting"), word("effect"))
        })
        .collect()
}

fn assert_rows(report: &Value, expected: &[(&str, &str, &str)]) {
    let rows = rows(report);
    for row in expected {
        assert!(rows.contains(row), "{row:?} in {report:#}");
    }
    let findings = report["findings"].as_array().expect("a table");
    assert!(findings.iter().all(|finding| finding["source"] != ""));
}

#[test]
fn doctor_finds_every_setting_and_predicts_the_first_cut() {
    let world = world();
    let Some(lab) = lab(&world, 600, "drop") else {
        return;
    };
    lab.fault(
        "sshd restart --sshd-option ClientAliveInterval=7 --sshd-option ClientAliveCountMax=4 \
         --sshd-option ChannelTimeout=session:*=6s --sshd-option UnusedConnectionTimeout=77 \
         --sshd-option LoginGraceTime=99",
    );
    for (end, name, value) in [
        ("client", "tcp_keepalive_time", "3333"),
        ("client", "tcp_retries2", "6"),
        ("server", "tcp_keepalive_intvl", "11"),
    ] {
        lab.fault(&format!("{end} sysctl -qw net.ipv4.{name}={value}"));
    }
    let options = ["-o", "ServerAliveInterval=9", "-o", "ServerAliveCountMax=2"];
    let report = doctor(&world, &lab, &options);
    assert_eq!(report["schema"], 1);
    let (near, far) = (
        "net.ipv4.tcp_keepalive_time = 3333, _probes = 9, _intvl = 75",
        "net.ipv4.tcp_keepalive_time = 7200, _probes = 9, _intvl = 11",
    );
    assert_rows(
        &report,
        &[
            ("there", "ChannelTimeout 6 s", "cuts-idle"),
            (
                "there",
                "ClientAliveInterval 7 × ClientAliveCountMax 4",
                "cuts-dead",
            ),
            ("there", "ClientAliveInterval 7", "keeps"),
            ("there", "UnusedConnectionTimeout 77 s", "held"),
            ("there", "LoginGraceTime 99 s", "cuts-login"),
            (
                "here",
                "ServerAliveInterval 9 × ServerAliveCountMax 2",
                "cuts-dead",
            ),
            ("here", "net.ipv4.tcp_retries2 = 6", "cuts-dead"),
            ("here", near, "cuts-dead"),
            ("there", far, "cuts-dead"),
            ("way", "idle timeout", "unknown"),
        ],
    );
    assert_eq!(report["findings"][0]["setting"], "ChannelTimeout 6 s");
    // ssh: 9 × (2 + 1); sshd: 7 × (4 + 1); the kernel: 9 + 25.4.
    assert_eq!(seconds(&report["dead_path"]["after_seconds"]), 27.0);
    // psess's heartbeat is channel data, and comes sooner.
    assert_eq!(report["psess"], Value::Null);
    let predicted = seconds(&report["plain_ssh"]["after_seconds"]);
    let lived = life_of_a_plain_ssh(&world, &lab, &options, "env").as_secs_f64();
    // sshd counts in whole seconds, and begins within one (channels.c, monotime). Nothing else
    // that is set comes before 27 s.
    assert!(
        lived >= predicted - 1.0 && lived <= predicted + 9.0,
        "predicted {predicted}, lived {lived}"
    );
}

#[test]
fn doctor_knows_what_is_off_and_predicts_what_finds_a_dead_path() {
    let world = world();
    let Some(lab) = lab(&world, 600, "drop") else {
        return;
    };
    world.write("home/.config/psess/config.toml", "heartbeat = \"9s\"\n");
    lab.fault("sshd restart --sshd-option TCPKeepAlive=no");
    for (end, name, value) in [
        ("client", "tcp_keepalive_time", "4"),
        ("client", "tcp_keepalive_probes", "3"),
        ("client", "tcp_keepalive_intvl", "1"),
        ("server", "tcp_retries2", "7"),
    ] {
        lab.fault(&format!("{end} sysctl -qw net.ipv4.{name}={value}"));
    }
    let report = doctor(&world, &lab, &[]);
    let near = "net.ipv4.tcp_keepalive_time = 4, _probes = 3, _intvl = 1";
    assert_rows(
        &report,
        &[
            ("here", near, "cuts-dead"),
            ("there", "TCPKeepAlive no", "cuts-dead"),
            ("there", "net.ipv4.tcp_retries2 = 7", "cuts-unanswered"),
            ("there", "ClientAliveInterval 0", "cuts-dead"),
            ("here", "ServerAliveInterval 0", "cuts-dead"),
            ("here", "heartbeat 9 s", "keeps"),
        ],
    );
    assert_eq!(seconds(&report["dead_path"]["after_seconds"]), 7.0);
    let lived = life_of_a_plain_ssh(&world, &lab, &[], "blackhole on").as_secs_f64();
    // Its last byte came just before.
    assert!((6.0..10.0).contains(&lived), "predicted 7, lived {lived}");
    lab.fault("blackhole off");

    let off = ["-o", "TCPKeepAlive=no"];
    let report = doctor(&world, &lab, &off);
    assert_rows(&report, &[("here", "TCPKeepAlive no", "cuts-dead")]);
    assert_eq!(report["dead_path"], Value::Null, "{report:#}");
    // ServerAlive: 2 × (1 + 1).
    let alive = ["-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=1"];
    let options = [&off[..], &alive[..]].concat();
    let report = doctor(&world, &lab, &options);
    assert_eq!(seconds(&report["dead_path"]["after_seconds"]), 4.0);
    let lived = life_of_a_plain_ssh(&world, &lab, &options, "blackhole on").as_secs_f64();
    assert!((3.0..7.0).contains(&lived), "predicted 4, lived {lived}");
}

#[test]
fn doctor_predicts_when_a_prompt_logs_out_and_knows_who_lingers() {
    let world = world();
    let Some(lab) = lab(&world, 600, "drop") else {
        return;
    };
    let linger = world.write("lib/systemd/linger/root", "");
    let above = linger.ancestors().nth(2).expect("it has folders above");
    for folder in ["/var/lib/systemd", "/run/systemd"] {
        if !Path::new(folder).is_dir() {
            skip(&format!("there is no {folder} here"));
            return;
        }
    }
    let seat = world.write("run/seats/seat0", "");
    let seats = seat.ancestors().nth(2).expect("it has folders above");
    lab.fault(&format!("pretend {} /var/lib/systemd", above.display()));
    lab.fault(&format!("pretend {} /run/systemd", seats.display()));
    let home = home_there(&lab);
    std::fs::write(Path::new(&home).join(".profile"), "TMOUT=6\n").expect("it is the lab's own");
    let report = doctor(&world, &lab, &[]);
    assert_rows(
        &report,
        &[
            ("there", "TMOUT=6", "cuts-idle"),
            ("there", "linger", "keeps"),
        ],
    );
    assert_eq!(report["findings"][0]["fix"]["line"], "unset TMOUT");
    assert_eq!(seconds(&report["plain_ssh"]["after_seconds"]), 6.0);

    let mut child = on_client(&world, &lab, "ssh")
        .args(["-tt", "server", "exec bash --login -i"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("natlab runs");
    let stdin = child.stdin.take();
    let mut stdout = child.stdout.take().expect("it is piped");
    // The prompt.
    std::io::Read::read(&mut stdout, &mut [0]).expect("a shell greets");
    let start = Instant::now();
    let mut words = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut words).expect("text");
    let lived = start.elapsed().as_secs_f64();
    drop(stdin);
    child.wait().expect("a child can be waited for");
    assert!(words.contains("auto-logout"), "{words}");
    assert!((5.0..9.0).contains(&lived), "predicted 6, lived {lived}");
}

#[test]
fn doctor_quotes_who_refused_it() {
    let world = world();
    let Some(lab) = lab(&world, 600, "drop") else {
        return;
    };
    lab.fault("kill-sshd listener");
    let report = doctor(&world, &lab, &[]);
    let findings = report["findings"].as_array().expect("a table");
    let row = findings.iter().find(|row| row["setting"] == "settings");
    let says = row.expect("it is said")["says"]
        .as_str()
        .unwrap_or_default();
    assert!(says.ends_with("port 22: Connection refused"), "{says}");
}

/// The home folder of who logs in at the far end.
fn home_there(lab: &Lab) -> String {
    let environment = lab.fault("env");
    let home = environment.lines().find_map(|line| {
        line.strip_prefix("NATLAB_SERVER_HOME='")?
            .strip_suffix('\'')
    });
    home.expect("natlab env names it").to_owned()
}

/// Folders in the place of the far machine's, for sshd and what it starts.
fn pretend(world: &World, lab: &Lab) -> bool {
    let logind = world.write("etc/logind.conf", "[Login]\nKillUserProcesses=yes\n");
    let seat = world.write("run/seats/seat0", "");
    let home = world.write("far-home/.bashrc", "# as admins do\nreadonly TMOUT=1234\n");
    let above = |path: &Path, levels: usize| {
        let folder = path.ancestors().nth(levels).expect("it has folders above");
        folder.display().to_string()
    };
    let home_there = home_there(lab);
    for (folder, place) in [
        (above(&logind, 1), "/etc/systemd"),
        (above(&seat, 2), "/run/systemd"),
        (above(&home, 1), &home_there),
    ] {
        if !Path::new(place).is_dir() {
            skip(&format!("there is no {place} here"));
            return false;
        }
        lab.fault(&format!("pretend {folder} {place}"));
    }
    true
}

#[test]
fn doctor_finds_what_ends_shells_and_sessions_at_the_far_end() {
    let world = world();
    let Some(lab) = lab(&world, 600, "drop") else {
        return;
    };
    if !pretend(&world, &lab) {
        return;
    }
    let report = doctor(&world, &lab, &[]);
    assert_rows(
        &report,
        &[
            ("there", "TMOUT=1234, readonly", "cuts-idle"),
            ("there", "KillUserProcesses yes", "cuts-at-logout"),
        ],
    );
    let shell = &report["findings"][0];
    let source = shell["source"].as_str().unwrap_or_default();
    assert!(source.ends_with("/.bashrc:2"), "{shell}");
    assert_eq!(shell["fix"]["line"], "(delete line 2)");
    // Heartbeats do not type.
    for who in ["plain_ssh", "psess"] {
        assert_eq!(seconds(&report[who]["after_seconds"]), 1234.0, "{report:#}");
    }
}

#[test]
fn doctor_finds_a_stale_master_the_hops_and_a_short_memory_of_this_machine() {
    let world = world();
    let Some(lab) = lab(&world, 321, "drop") else {
        return;
    };
    let path = world.path("master");
    let control = format!("ControlPath={}", path.display());
    let through = ["-o", "ControlMaster=auto", "-o", &control];
    let mut master = on_client(&world, &lab, "ssh")
        .args(["-M", "-N", "-o", &control, "server"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("natlab runs");
    eventually("the master listens", || path.exists().then_some(()));
    let says = |report: &Value| {
        let findings = report["findings"].as_array().expect("a table");
        let setting = "ControlMaster auto, ControlPersist no";
        let row = findings.iter().find(|row| row["setting"] == setting);
        let row = row.unwrap_or_else(|| panic!("{setting} in {report:#}"));
        row["says"].as_str().unwrap_or_default().to_owned()
    };
    let words = says(&doctor(&world, &lab, &through));
    assert!(words.starts_with("the master works now"), "{words}");
    lab.fault("flush");
    let words = says(&doctor(&world, &lab, &through));
    assert!(words.starts_with("STALE"), "{words}");
    master.kill().expect("it is a child");
    master.wait().expect("a child can be waited for");

    // The lab has one far host: it is its own hop.
    let report = doctor(&world, &lab, &["-o", "ProxyJump=server"]);
    assert_rows(
        &report,
        &[
            ("way", "ProxyJump server", "unknown"),
            ("here", "ServerAliveInterval 0", "cuts-dead"),
        ],
    );
    // The far side told its settings through the hop.
    assert!(rows(&report).iter().any(|(end, ..)| *end == "there"));

    let psess = world.executable().display().to_string();
    let report: Value =
        serde_json::from_str(&lab.fault(&format!("router {psess} doctor --json"))).expect("JSON");
    let setting = "net.netfilter.nf_conntrack_tcp_timeout_established = 321";
    assert_rows(&report, &[("here", setting, "cuts-others")]);
}

/// All cases, when run by hand, take about two minutes.
#[test]
fn why_names_who_cut() {
    let world = world();
    // Says so where there can be no lab.
    let Some(lab) = lab(&world, 600, "drop") else {
        return;
    };
    drop(lab);
    let folder = Path::new(env!("CARGO_BIN_EXE_psess")).parent();
    let output = Command::new(python())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/causes"))
        .arg("--psess")
        .arg(folder.expect("an executable lies in a folder"))
        .args([
            "idle-10-drop",
            "idle-10-reset",
            "server-alive",
            "channel-timeout",
        ])
        .args(["sshd-killed", "server-killed", "tmout", "reset", "detached"])
        .args(["--jobs", "9"])
        .stdin(Stdio::null())
        .output()
        .expect("python3 runs");
    let table = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{table}{problem}");
}

#[test]
fn why_has_nothing_to_say_where_nothing_was_cut() {
    let world = world();
    let why = world.run(["why", "--json"]);
    let list: Value = serde_json::from_str(&why.stdout).expect("JSON");
    assert_eq!(
        (&list["schema"], &list["cuts"]),
        (&1.into(), &Value::Array(Vec::new()))
    );
}
