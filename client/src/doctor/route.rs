//! Over which network this machine speaks: its gateway and its own address.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// An address that belongs to nobody (RFC 5737), to ask the kernel how it would go there.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Gateway and own address: what a connection is lost with when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The gateway, with its hardware address where the kernel knows it: many homes call theirs
    /// 192.168.1.1. `None` without one.
    pub gateway: Option<String>,
    /// The address that this machine speaks from; `None` without a network.
    pub source: Option<IpAddr>,
}

impl Route {
    /// The one that is used now.
    #[must_use]
    pub fn now() -> Self {
        let gateway = fs::read_to_string("/proc/net/route")
            .ok()
            .and_then(|table| default_gateway(&table))
            .map(|address| {
                let table = fs::read_to_string("/proc/net/arp").unwrap_or_default();
                match hardware_address(&table, address) {
                    Some(hardware) => format!("{address} {hardware}"),
                    None => address.to_string(),
                }
            });
        Self {
            gateway,
            source: source(),
        }
    }

    /// Whether a connection that began on `self` cannot live on `other`.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        let address = |gateway: &Option<String>| {
            gateway
                .as_deref()
                .and_then(|gateway| gateway.split(' ').next())
                .map(str::to_owned)
        };
        let both = self.source.is_some() && other.source.is_some();
        both && (self.source != other.source || address(&self.gateway) != address(&other.gateway))
    }

    /// What ways are remembered by.
    #[must_use]
    pub fn name(&self) -> &str {
        self.gateway.as_deref().unwrap_or("direct")
    }
}

/// The address that the kernel would speak from. Connecting a datagram socket sends nothing.
fn source() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SocketAddr::from((ELSEWHERE, 9))).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The gateway of the default route with the lowest metric (/proc/net/route: interface,
/// destination, gateway, flags, references, uses, metric, mask …; addresses are hexadecimal, in
/// the byte order of the machine).
fn default_gateway(table: &str) -> Option<Ipv4Addr> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, gateway, _, _, _, metric, mask, ..] = fields[..] else {
            return None;
        };
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        let is_default = destination == "00000000" && mask == "00000000" && gateway != 0;
        is_default.then_some((metric.parse::<u32>().ok()?, gateway))
    });
    let (_, gateway) = routes.min()?;
    Some(Ipv4Addr::from(gateway.to_ne_bytes()))
}

/// /proc/net/arp: address, type, flags, hardware address …
fn hardware_address(table: &str, address: Ipv4Addr) -> Option<&str> {
    let line = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.next()?.parse() == Ok(address)).then_some(fields)
    });
    let hardware = line?.nth(2)?;
    (hardware != "00:00:00:00:00:00").then_some(hardware)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_gateway_of_the_lowest_metric_counts() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\t0102000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0002000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(default_gateway(table), Some(Ipv4Addr::new(10, 0, 2, 1)));
        let arp = "IP address       HW type     Flags       HW address            Mask     Device\n\
            10.0.2.1         0x1         0x2         52:54:00:00:00:01     *        eth0\n";
        let hardware = hardware_address(arp, Ipv4Addr::new(10, 0, 2, 1));
        assert_eq!(hardware, Some("52:54:00:00:00:01"));
    }

    #[test]
    fn a_network_that_is_gone_is_no_other_network() {
        let home = Route {
            gateway: Some("10.0.1.1 aa".to_owned()),
            source: Some(IpAddr::from([10, 0, 1, 2])),
        };
        assert!(!home.differs(&Route::default()));
        let learned_late = Route {
            gateway: Some("10.0.1.1".to_owned()),
            ..home.clone()
        };
        assert!(!home.differs(&learned_late));
        let work = Route {
            source: Some(IpAddr::from([10, 0, 2, 2])),
            ..home.clone()
        };
        assert!(home.differs(&work));
    }
}
