//! ssh's own settings for a host, as `ssh -G` prints them.

use std::ffi::OsString;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bounded_command;

const WITHIN: Duration = Duration::from_secs(10);

/// ssh's settings for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SshSettings {
    /// ServerAliveInterval, in seconds; 0: none.
    pub server_alive_interval: u32,
    /// ServerAliveCountMax.
    pub server_alive_count_max: u32,
    /// TCPKeepAlive.
    pub tcp_keepalive: bool,
    /// ControlMaster, where it is not `no`.
    pub control_master: Option<String>,
    /// ControlPath, where one is set.
    pub control_path: Option<String>,
    /// ControlPersist, where it is not `no`.
    pub control_persist: Option<String>,
    /// ProxyJump, where one is set: `HOP,HOP …`, the nearest first.
    pub proxy_jump: Option<String>,
    /// ProxyCommand, where one is set.
    pub proxy_command: Option<String>,
}

impl SshSettings {
    /// Runs `ssh -G`; `None` when it fails.
    pub async fn ask(argv: &[OsString]) -> Option<Self> {
        let words = bounded_command::words(argv, WITHIN).await?;
        Some(Self::parse(&words))
    }

    fn parse(text: &str) -> Self {
        let value = |keyword: &str| {
            let line = text.lines().find_map(|line| {
                let (key, value) = line.split_once(' ')?;
                key.eq_ignore_ascii_case(keyword).then_some(value.trim())
            });
            line.filter(|value| !["no", "false", "none"].contains(value))
        };
        let number = |keyword: &str| value(keyword).and_then(|value| value.parse().ok());
        let owned = |keyword: &str| value(keyword).map(str::to_owned);
        Self {
            server_alive_interval: number("serveraliveinterval").unwrap_or(0),
            server_alive_count_max: number("serveralivecountmax").unwrap_or(3),
            tcp_keepalive: value("tcpkeepalive").is_some(),
            control_master: owned("controlmaster"),
            control_path: owned("controlpath"),
            control_persist: owned("controlpersist"),
            proxy_jump: owned("proxyjump"),
            proxy_command: owned("proxycommand"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshs_settings_are_read_from_its_own_words() {
        let settings = SshSettings::parse(
            "user me\nhostname box\nserveraliveinterval 12\nserveralivecountmax 2\n\
             tcpkeepalive yes\ncontrolmaster auto\ncontrolpersist 600\ncontrolpath /tmp/cm\n\
             proxyjump bastion\n",
        );
        assert_eq!(settings.server_alive_interval, 12);
        assert_eq!(settings.server_alive_count_max, 2);
        assert!(settings.tcp_keepalive);
        assert_eq!(settings.control_master.as_deref(), Some("auto"));
        assert_eq!(settings.proxy_jump.as_deref(), Some("bastion"));
        let plain = SshSettings::parse("controlmaster false\ncontrolpersist no\ntcpkeepalive no\n");
        let expected = SshSettings {
            server_alive_count_max: 3,
            ..SshSettings::default()
        };
        assert_eq!(plain, expected);
    }
}
