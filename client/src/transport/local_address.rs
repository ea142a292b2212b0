//! The address of this machine that a connection speaks from. When that is gone, so is the
//! connection: nobody tells TCP, which goes on for a quarter of an hour.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use crate::process_sockets;

/// What /proc/net/tcp calls an established connection.
const ESTABLISHED: &str = "01";

/// The one address that all established TCP connections of these processes speak from, those within
/// this machine aside (forwarded ports); `None` without any, and where they speak from several.
pub(super) fn of_processes(processes: impl IntoIterator<Item = u32>) -> Option<IpAddr> {
    let sockets: BTreeSet<String> = processes
        .into_iter()
        .flat_map(process_sockets::of)
        .collect();
    if sockets.is_empty() {
        return None;
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let addresses: BTreeSet<IpAddr> = tables
        .iter()
        .flatten()
        .flat_map(|table| established(table, &sockets))
        .filter(|address| !address.is_loopback())
        .collect();
    let mut addresses = addresses.into_iter();
    addresses.next().filter(|_| addresses.next().is_none())
}

/// Whether this machine has that address no more. One that cannot be asked for (an IPv6 address
/// of one link only) counts as there.
pub(crate) fn is_gone(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
}

/// The local addresses of these sockets' established connections, by a table of the kernel's
/// (proc_net_tcp: number, local and remote address, state, …, the inode as the tenth).
fn established<'a>(
    table: &'a str,
    sockets: &'a BTreeSet<String>,
) -> impl Iterator<Item = IpAddr> + 'a {
    table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, ESTABLISHED, _, _, _, _, _, inode, ..] = fields[..] else {
            return None;
        };
        let (address, _port) = local.split_once(':')?;
        sockets.contains(inode).then(|| parse(address))?
    })
}

/// An address in hexadecimal: words of 32 bits, each in the byte order of the machine.
fn parse(address: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match address.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            let bytes: [u8; 16] = bytes.try_into().ok()?;
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_tables_tell_what_a_socket_speaks_from() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n\
            0: 0201000A:A1B2 0A7100CB:0016 01 00000000:00000000 00:00000000 00000000  0 0 77 1\n\
            1: 0202000A:A1B3 0A7100CB:0016 06 00000000:00000000 00:00000000 00000000  0 0 78 1\n\
            2: 0203000A:A1B4 0A7100CB:0016 01 00000000:00000000 00:00000000 00000000  0 0 79 1\n";
        let table6 = "  sl  local_address  remote_address  st\n\
            0: B80D0120000000000000000001000000:A1B2 B80D0120000000000000000002000000:0016 \
            01 0:0 0:0 0  0 0 80 1\n\
            1: 0000000000000000FFFF00000201000A:A1B2 0000000000000000FFFF00000A7100CB:0016 \
            01 0:0 0:0 0  0 0 81 1\n";
        let of = |table: &str, inodes: &[&str]| {
            let inodes = inodes.iter().map(|inode| (*inode).to_owned()).collect();
            established(table, &inodes).collect::<Vec<_>>()
        };
        let home = IpAddr::from([10, 0, 1, 2]);
        assert_eq!(of(table, &["77", "78"]), [home]);
        assert!(of(table, &["7"]).is_empty());
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(of(table6, &["80", "81"]), [six, home]);
    }

    #[test]
    fn an_address_of_somebody_else_is_gone_from_here() {
        assert!(!is_gone(Ipv4Addr::LOCALHOST.into()));
        // Of nobody's (RFC 5737).
        assert!(is_gone(IpAddr::from([192, 0, 2, 1])));
    }

    #[test]
    fn who_speaks_within_this_machine_only_has_no_address_to_lose() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its number");
        let _stream = std::net::TcpStream::connect(address).expect("it listens");
        assert_eq!(of_processes([std::process::id()]), None);
    }
}
