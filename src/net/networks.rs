//! A list of IP networks.

use ipnet::IpNet;

use super::Peer;

/// IP networks, each of IPv4 or IPv6.
#[derive(Clone, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether the address of this peer is in one of them. A Unix socket has none.
    #[must_use]
    pub fn contain(&self, peer: Peer) -> bool {
        match peer {
            Peer::Tcp(address) => self.0.iter().any(|network| network.contains(&address.ip())),
            Peer::Unix => false,
        }
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> Self {
        Self(networks.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_in_the_networks_of_its_family() {
        let networks: Networks = ["10.1.0.0/16", "192.0.2.7/32", "2001:db8::/32"]
            .map(|network| network.parse().unwrap())
            .into_iter()
            .collect();
        for (peer, is_in) in [
            ("10.1.2.3:1", true),
            ("10.2.2.3:1", false),
            ("192.0.2.7:1", true),
            ("192.0.2.8:1", false),
            ("[2001:db8:ffff::1]:1", true),
            ("[2001:db9::1]:1", false),
            ("[::1]:1", false),
        ] {
            assert_eq!(networks.contain(Peer::Tcp(peer.parse().unwrap())), is_in, "{peer}");
        }
        assert!(!networks.contain(Peer::Unix));
        assert!(!Networks::default().contain(Peer::Tcp("10.1.2.3:1".parse().unwrap())));
    }
}
