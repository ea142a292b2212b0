use psess_protocol::timing::Timing;

use super::super::control_master::ControlMaster;
use super::super::facts::Facts;
use super::super::finding::End;
use super::super::kernel_settings::KernelSettings;
use super::super::path_memory::{Manner, PathKnowledge, Source};
use super::super::proxy_jump::Hop;
use super::super::shell_settings::ShellSettings;
use super::super::ssh_settings::SshSettings;
use super::super::sshd_settings::SshdSettings;
use super::*;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn kernel() -> KernelSettings {
    KernelSettings {
        keepalive_time: Some(7_200),
        keepalive_probes: Some(9),
        keepalive_interval: Some(75),
        retries2: Some(15),
        ..KernelSettings::default()
    }
}

/// Debian's defaults on both sides, and a NAT that forgets after 10 s.
fn layers() -> Layers {
    let machine = Facts {
        kernel: kernel(),
        ..Facts::default()
    };
    let sshd = SshdSettings {
        source: "sshd -T".to_owned(),
        client_alive_count_max: 3,
        tcp_keepalive: true,
        ..SshdSettings::default()
    };
    Layers {
        far_said: String::new(),
        ssh: Some(SshSettings {
            server_alive_count_max: 3,
            tcp_keepalive: true,
            ..SshSettings::default()
        }),
        master: None,
        hops: Vec::new(),
        near: machine.clone(),
        far: Some(Facts {
            sshd: Some(sshd),
            ..machine
        }),
        way: Some(PathKnowledge {
            survives: Some(seconds(9)),
            forgets: Some(seconds(11)),
            manner: Some(Manner::Drop),
            source: Source::Probe,
            ..PathKnowledge::default()
        }),
        timing: Some(Timing::default()),
    }
}

fn sshd(layers: &mut Layers) -> &mut SshdSettings {
    let far = layers.far.as_mut().expect("there is one");
    far.sshd.as_mut().expect("there is one")
}

#[test]
fn the_ways_timeout_cuts_a_plain_ssh_and_the_heartbeat_heeds_it() {
    let report = report(&layers());
    let cut = report.plain_ssh.expect("the NAT cuts");
    assert_eq!(
        (cut.after, cut.by.as_str()),
        (seconds(9), "NAT or firewall: idle timeout")
    );
    assert_eq!(report.psess, None);
    let worst = &report.findings[0];
    assert_eq!((worst.effect, worst.end), (Effect::CutsIdle, End::Way));
    assert_eq!(worst.fix.as_ref().unwrap().line, "ServerAliveInterval 3");
}

#[test]
fn alive_messages_hold_the_way_but_not_a_channel_timeout() {
    let mut layers = layers();
    layers.ssh.as_mut().unwrap().server_alive_interval = 4;
    assert_eq!(report(&layers).plain_ssh, None);
    sshd(&mut layers).channel_timeout = 20;
    let psess = report(&layers);
    assert_eq!(psess.plain_ssh.unwrap().after, seconds(20));
    assert_eq!(psess.psess, None);
    // Neither does it hold where psess heeds what the administrator wants.
    layers.timing = None;
    assert_eq!(report(&layers).psess.unwrap().after, seconds(20));
}

#[test]
fn keepalive_of_the_kernel_holds_the_way_when_it_comes_in_time() {
    let mut layers = layers();
    layers.near.kernel.keepalive_time = Some(4);
    assert_eq!(report(&layers).plain_ssh, None);
    layers.ssh.as_mut().unwrap().tcp_keepalive = false;
    assert_eq!(report(&layers).plain_ssh.unwrap().after, seconds(9));
}

#[test]
fn nothing_holds_off_a_shells_timeout() {
    let mut layers = layers();
    layers.far.as_mut().unwrap().shell = ShellSettings {
        timeout: Some(5),
        is_readonly: true,
        source: "/etc/profile.d/tmout.sh:1".to_owned(),
    };
    let report = report(&layers);
    assert_eq!(report.psess.as_ref().unwrap().after, seconds(5));
    assert_eq!(report.plain_ssh, report.psess);
    let fix = report.findings[0].fix.as_ref().unwrap();
    assert_eq!(
        (fix.end, fix.file.as_deref()),
        (End::There, Some("/etc/profile.d/tmout.sh"))
    );
}

#[test]
fn every_layer_that_is_set_has_a_row() {
    let mut layers = layers();
    let ssh = layers.ssh.as_mut().unwrap();
    ssh.server_alive_interval = 12;
    ssh.control_master = Some("auto".to_owned());
    ssh.control_path = Some("/tmp/cm".to_owned());
    layers.master = Some(ControlMaster::Hangs(seconds(6)));
    layers.hops = vec![Hop {
        name: "bastion".to_owned(),
        ssh: Some(SshSettings {
            server_alive_interval: 30,
            server_alive_count_max: 2,
            tcp_keepalive: true,
            ..SshSettings::default()
        }),
    }];
    layers.near.kernel.forwards = true;
    layers.near.kernel.conntrack_established = Some(431_999);
    let sshd = sshd(&mut layers);
    sshd.client_alive_interval = 12;
    sshd.channel_timeout = 3_600;
    sshd.unused_connection_timeout = 60;
    sshd.login_grace_time = 77;
    sshd.per_source_penalties = Some("crash:90".to_owned());
    let logout = &mut layers.far.as_mut().unwrap().logout;
    logout.has_logind = true;
    logout.runtime_directory = Some("/run/user/7".to_owned());
    logout.kill_user_processes = Some((true, "/etc/systemd/logind.conf".to_owned()));
    let report = report(&layers);
    let all: String = report
        .findings
        .iter()
        .map(|finding| format!("{} | {}\n", finding.setting, finding.says))
        .collect();
    for words in [
        "ServerAliveInterval 12 × ServerAliveCountMax 3",
        "gives up a dead path about 48 s",
        "gives up a dead path after 48 s to 1 min 36 s",
        "too rare for this way",
        "ControlMaster auto, ControlPersist no | STALE: nothing has come through the master for 6 s",
        "ProxyJump bastion",
        "ServerAliveInterval 30 × ServerAliveCountMax 2 (bastion)",
        "nf_conntrack_tcp_timeout_established = 431999",
        "ChannelTimeout 3600 s",
        "UnusedConnectionTimeout 60 s",
        "LoginGraceTime 77 s",
        "PerSourcePenalties crash:90",
        "KillUserProcesses yes",
        "runtime directory /run/user/7",
        "tcp_retries2 = 15",
        "a dead path is found after 2 h 11 min",
        "heartbeat 3.6 s",
    ] {
        assert!(all.contains(words), "{words} is missing in\n{all}");
    }
    assert!(
        report
            .findings
            .iter()
            .all(|finding| !finding.source.is_empty())
    );
}

#[test]
fn what_could_not_be_read_is_said() {
    let layers = Layers {
        far: None,
        far_said: "ssh: no such host".to_owned(),
        way: None,
        ..layers()
    };
    let report = report(&layers);
    let unknown = report
        .findings
        .iter()
        .filter(|row| row.effect == Effect::Unknown);
    let says: Vec<&str> = unknown.map(|row| row.says.as_str()).collect();
    assert_eq!(says.len(), 2, "{says:?}");
    assert!(
        says.iter()
            .any(|says| says.ends_with("settings: ssh: no such host")),
        "{says:?}"
    );
}

#[test]
fn the_soonest_of_both_ends_finds_a_dead_path() {
    let mut layers = layers();
    let cut = report(&layers).dead_path.expect("TCP keepalive is on");
    assert_eq!(cut.after, seconds(7_875));
    sshd(&mut layers).client_alive_interval = 30;
    let by = |layers: &Layers| {
        let cut = report(layers).dead_path.expect("several find it");
        (cut.by, cut.after)
    };
    let sshds = "sshd: ClientAliveInterval 30 × ClientAliveCountMax 3".to_owned();
    assert_eq!(by(&layers), (sshds, seconds(120)));
    layers.ssh.as_mut().unwrap().server_alive_interval = 20;
    let own = "ssh: ServerAliveInterval 20 × ServerAliveCountMax 3".to_owned();
    assert_eq!(by(&layers), (own, seconds(80)));
    // The first alive message that nobody acknowledges is enough for an impatient kernel.
    layers.near.kernel.retries2 = Some(5);
    let kernels = "kernel: net.ipv4.tcp_retries2 = 5".to_owned();
    assert_eq!(by(&layers), (kernels, Duration::from_millis(32_600)));
}

#[test]
fn what_goes_over_the_hops_connection_keeps_the_way_open() {
    let mut layers = layers();
    let hop = |interval, tcp_keepalive| Hop {
        name: "bastion".to_owned(),
        ssh: Some(SshSettings {
            server_alive_interval: interval,
            tcp_keepalive,
            ..SshSettings::default()
        }),
    };
    // Probes of the far kernel end at the hop.
    layers.far.as_mut().unwrap().kernel.keepalive_time = Some(4);
    assert_eq!(report(&layers).plain_ssh, None);
    layers.hops = vec![hop(0, false)];
    assert_eq!(report(&layers).plain_ssh.unwrap().after, seconds(9));
    layers.hops = vec![hop(5, false)];
    assert_eq!(report(&layers).plain_ssh, None);
    layers.near.kernel.keepalive_time = Some(4);
    layers.hops = vec![hop(0, true)];
    assert_eq!(report(&layers).plain_ssh, None);
}

#[test]
fn a_measurement_is_bounded_by_what_its_own_ssh_cannot_turn_off() {
    let mut layers = layers();
    layers.ssh.as_mut().unwrap().server_alive_interval = 4;
    sshd(&mut layers).client_alive_interval = 30;
    sshd(&mut layers).channel_timeout = 90;
    let bounds: Vec<_> = bounds(&layers)
        .into_iter()
        .map(|bound| (bound.by, bound.manner, bound.after))
        .collect();
    let keepalive = "kernel: net.ipv4.tcp_keepalive_time = 7200, _probes = 9, _intvl = 75";
    let (keeps, closes) = (BoundManner::KeepsAlive, BoundManner::Closes);
    let expected = [
        ("sshd: ClientAliveInterval 30", keeps, seconds(30)),
        ("sshd: ChannelTimeout 90 s", closes, seconds(90)),
        // The far kernel's: this side's is off.
        (keepalive, keeps, seconds(7_200)),
    ];
    let expected = expected.map(|(by, manner, after)| (by.to_owned(), manner, after));
    assert_eq!(bounds, expected);
}
