//! The hosts that a connection goes by way of, with ssh's settings for each.

use super::ssh_settings::SshSettings;
use crate::transport::Transport;

/// Hosts on the way that are asked for; a configuration may name itself as its own hop.
const MOST_HOPS: usize = 8;

/// One host on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// As ProxyJump names it.
    pub name: String,
    /// ssh's settings for the connection to it; `None` where ssh does not tell.
    pub ssh: Option<SshSettings>,
}

/// The hops on the way of a connection with these settings, the nearest first.
pub async fn hops(transport: &Transport, settings: &SshSettings) -> Vec<Hop> {
    let mut hops: Vec<Hop> = Vec::new();
    let mut jump = settings.proxy_jump.clone();
    while let Some(names) = jump.take() {
        // The nearest of them may have hops of its own: ssh_config(5).
        for (place, name) in names.split(',').enumerate() {
            let argv = transport.settings_argv(Some(&destination(name)));
            let ssh = match argv {
                Some(argv) => SshSettings::ask(&argv).await,
                None => None,
            };
            if place == 0 {
                jump = ssh.as_ref().and_then(|ssh| ssh.proxy_jump.clone());
            }
            let name = name.to_owned();
            hops.insert(place, Hop { name, ssh });
            if hops.len() == MOST_HOPS {
                return hops;
            }
        }
    }
    hops
}

/// ssh takes a port behind a colon in a URI only.
fn destination(hop: &str) -> String {
    match hop.contains(':') && !hop.starts_with("ssh://") {
        true => format!("ssh://{hop}"),
        false => hop.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_with_a_port_is_named_as_ssh_takes_it() {
        for (hop, named) in [
            ("bastion", "bastion"),
            ("me@bastion:2222", "ssh://me@bastion:2222"),
            ("ssh://bastion:22", "ssh://bastion:22"),
        ] {
            assert_eq!(destination(hop), named);
        }
    }
}
