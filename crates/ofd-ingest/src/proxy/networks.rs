//! Networks as the configuration names them: `10.1.0.0/16`, `2001:db8::/32`, or a single address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

/// Some networks: a list of texts, or one text with commas, as the environment can hold it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address lies in one of them. An IPv4 address in IPv6 clothes is an IPv4 address.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.prefix_bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.prefix_bits
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable = || format!("\"{text}\" is no network, as in \"10.1.0.0/16\" or \"192.0.2.7\"");
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| unreadable())?;
        let all_bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Ok(all_bits), str::parse).map_err(|_| unreadable())?;
        if prefix_bits > all_bits {
            return Err(unreadable());
        }
        Ok(Self { address, prefix_bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NetworksVisitor)
    }
}

struct NetworksVisitor;

impl<'de> Visitor<'de> for NetworksVisitor {
    type Value = Networks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of networks, as in [\"10.1.0.0/16\", \"192.0.2.7\"]")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Networks, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Networks, A::Error> {
        let mut networks = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            networks.push(text.parse().map_err(de::Error::custom)?);
        }
        Ok(Networks(networks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(networks: &str, address: &str, expected: bool) {
        let networks: Networks = networks.parse().unwrap();
        assert_eq!(networks.contain(address.parse().unwrap()), expected, "{networks:?} {address}");
    }

    #[test]
    fn an_address_lies_in_a_network_by_its_first_bits() {
        check("10.1.0.0/16", "10.1.255.255", true);
        check("10.1.0.0/16", "10.2.0.0", false);
        check("10.1.7.9/16", "10.1.0.1", true);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.6", false);
        check("0.0.0.0/0", "203.0.113.1", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("::/0", "::1", true);
        check("127.0.0.0/8", "::ffff:127.0.0.1", true);
        check("10.0.0.1, 10.0.0.3/32", "10.0.0.3", true);
        check("", "10.0.0.3", false);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in
            ["balancer", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/8/8"]
        {
            assert!(bad.parse::<Networks>().unwrap_err().contains(bad), "{bad}");
        }
    }

    #[test]
    fn a_list_and_a_text_with_commas_say_the_same() {
        let list: Networks = serde_json::from_str(r#"["10.0.0.0/8", "::1"]"#).unwrap();
        let text: Networks = serde_json::from_str(r#""10.0.0.0/8,::1""#).unwrap();
        assert_eq!(list, text);
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"["10.0.0.0/8","::1/128"]"#);
        assert!(serde_json::from_str::<Networks>("[5]").is_err());
        assert!(serde_json::from_str::<Networks>("true").is_err());
    }
}
