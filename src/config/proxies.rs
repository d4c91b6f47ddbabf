//! The proxies in front of the application, whose word is believed on where a request comes from.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// Addresses and networks of proxies. Empty where nothing stands between the application and its visitors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether `address` is one of them. An IPv4 address is the same when it comes in IPv6's clothes, as it does to a
    /// listener on `[::]`.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let takes = "addresses and networks separated by commas, such as 10.0.0.7,172.16.0.0/12,fd00::/8";
        let network = |text: &str| {
            let address = text.parse::<IpAddr>().map(|address| address.to_canonical().into());
            address.or_else(|_| text.parse()).map_err(|_| takes.to_owned())
        };
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(network).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(list: &str, address: &str) -> bool {
        let proxies: TrustedProxies = list.parse().expect(list);
        proxies.contains(address.parse().expect(address))
    }

    #[test]
    fn addresses_and_networks_are_told_apart_from_all_others() {
        let list = "10.0.0.7, 172.16.0.0/12,fd00::/8,2001:db8::1";
        for inside in ["10.0.0.7", "::ffff:10.0.0.7", "172.31.255.255", "fd12::3", "2001:db8::1"] {
            assert!(contains(list, inside), "{inside}");
        }
        for outside in ["10.0.0.8", "172.32.0.0", "fe80::1", "2001:db8::2", "127.0.0.1"] {
            assert!(!contains(list, outside), "{outside}");
        }
        assert!(!contains("", "127.0.0.1"), "by default nobody is trusted");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in ["localhost", "10.0.0.0/33", "10.0.0.1:80", "*", "10.0.0.1;10.0.0.2"] {
            assert!(wrong.parse::<TrustedProxies>().is_err(), "{wrong}");
        }
    }
}
