//! Addresses and blocks of them, and which are never a public server's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A CIDR block; one address is a block of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    base: IpAddr,
    bits: u32,
}

impl Block {
    /// Reads `ADDRESS` or `ADDRESS/BITS`. Bits of the address below the block's are of no account.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().ok()?;
        let most = width(base);
        let bits = match bits {
            // `parse` would take a sign.
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => most,
        };
        (bits <= most).then_some(Self { base, bits })
    }

    pub(super) fn is_v6(&self) -> bool {
        self.base.is_ipv6()
    }

    /// Whether the block has this address, or the IPv4 one that it stands for.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        [Some(address), stands_for(address).map(IpAddr::V4)].into_iter().flatten().any(|one| {
            let unlike = number(self.base) ^ number(one);
            let below = width(self.base) - self.bits;
            self.is_v6() == one.is_ipv6() && unlike.checked_shr(below).unwrap_or_default() == 0
        })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == width(self.base) {
            self.base.fmt(f)
        } else {
            write!(f, "{}/{}", self.base, self.bits)
        }
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped, compatible, translated (RFC 6052), or 6to4.
fn stands_for(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let pair = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(pair(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(pair(high, low)),
        [0x2002, high, low, ..] => Some(pair(high, low)),
        _ => None,
    }
}

/// What an address is that no public server has; `None` for all others, private networks among them,
/// since VPC endpoints are there.
pub(super) fn never_public(address: IpAddr) -> Option<&'static str> {
    match (address, stands_for(address)) {
        (IpAddr::V4(v4), _) | (_, Some(v4)) => never_public_v4(v4),
        (IpAddr::V6(v6), None) => never_public_v6(v6),
    }
}

fn never_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("unspecified"),
        [127, ..] => Some("loopback"),
        [169, 254, ..] => Some("link-local"),
        [224..=239, ..] => Some("multicast"),
        // 255.255.255.255 among them.
        [240..=255, ..] => Some("reserved or broadcast"),
        _ => None,
    }
}

fn never_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
        [0xfd00, 0xec2, ..] => Some("EC2's own services'"),
        // RFC 8215's translation prefix, whose mapping is the network's own.
        [0x64, 0xff9b, 1, ..] => Some("translated by the local network"),
        _ => None,
    }
}
