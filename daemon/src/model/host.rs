//! Which hosts the daemon may be sent to by a URL that somebody else chose: `allowed_hosts`.
//!
//! Whoever may submit a job hands the daemon a URL, and a bastion reaches much that its users must not:
//! the metadata service above all. A URL is therefore judged twice: by its host and port when it is
//! taken, and by each address that its name then resolves to.
//!
//! # Invariants
//! - A name admits no address of a kind that is never a public server: loopback, link-local and the like
//!   need an entry that holds the address itself.
//! - An entry without a port admits 443 alone.
//! - IPv6 addresses that stand for an IPv4 one are judged as that one.

mod address;
mod s3;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use address::Block;

const HTTPS_PORT: u16 = 443;
/// The entry that stands for S3's own hosts.
const S3: &str = "s3";

/// Why a text is not an entry of `allowed_hosts`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no host: expected a name, *.SUFFIX, an address or a CIDR block, each with :PORT or :* \
     where 443 is not meant, or s3"
)]
pub struct NotAHost(String);

/// Why nothing is sent to a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("host {0} is not among allowed_hosts")]
    Host(String),
    #[error("port {port} of host {host} is not among allowed_hosts")]
    Port { host: String, port: u16 },
    #[error("only https is used with host {0}")]
    Plain(String),
    #[error("the URL names no host, or a user")]
    Form,
    #[error("address {address} is {kind}: no entry of allowed_hosts holds the address itself")]
    Address { address: IpAddr, kind: &'static str },
}

/// What a person can do about a [`Refused`].
pub const REMEDY: &str =
    "name another host, or have the daemon's operator admit this one by allowed_hosts";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    One(u16),
    Any,
}

impl Port {
    fn admits(self, port: u16) -> bool {
        match self {
            Self::One(one) => one == port,
            Self::Any => true,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Name(String),
    /// Every name below it, and not itself.
    Below(String),
    Block(Block),
    S3,
}

/// One entry of `allowed_hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    who: Who,
    port: Port,
}

impl HostRule {
    fn admits_name(&self, name: &str) -> bool {
        match &self.who {
            Who::Name(known) => known == name,
            Who::Below(suffix) => {
                let before =
                    name.strip_suffix(suffix.as_str()).and_then(|rest| rest.strip_suffix('.'));
                before.is_some_and(|labels| !labels.is_empty())
            }
            Who::S3 => s3::is_of_s3(name),
            Who::Block(_) => false,
        }
    }

    fn holds(&self, address: IpAddr) -> bool {
        matches!(&self.who, Who::Block(block) if block.holds(address))
    }
}

impl FromStr for HostRule {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAHost(super::address::shown(text));
        let (host, port) = split_port(text).ok_or_else(wrong)?;
        if let Some(block) = Block::parse(host) {
            return Ok(Self { who: Who::Block(block), port });
        }
        let who = match (host, host.strip_prefix("*.")) {
            (S3, _) => Who::S3,
            (_, Some(suffix)) => Who::Below(name(suffix).ok_or_else(wrong)?),
            // `S3` and `s3.` would be a host of that name, which nobody means and which prints as the word.
            (whole, None) => Who::Name(name(whole).filter(|name| name != S3).ok_or_else(wrong)?),
        };
        Ok(Self { who, port })
    }
}

/// The host and the port of an entry. Brackets stand around an IPv6 address, or block, with a port.
fn split_port(text: &str) -> Option<(&str, Port)> {
    let port = |text: &str| match text {
        "*" => Some(Port::Any),
        number => number.parse().ok().filter(|port| *port > 0).map(Port::One),
    };
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(text) => Some((host, port(text)?)),
            None => rest.is_empty().then_some((host, Port::One(HTTPS_PORT))),
        };
    }
    match text.split_once(':') {
        Some((host, text)) if !text.contains(':') => Some((host, port(text)?)),
        // None, or the colons of an IPv6 address.
        _ => Some((text, Port::One(HTTPS_PORT))),
    }
}

/// A name as URLs have it: in lower case, Punycode, and without the dot of the root.
fn name(text: &str) -> Option<String> {
    match Host::parse(text).ok()? {
        Host::Domain(name) => canonical(&name),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

fn canonical(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_legal = name.split('.').all(|label| !label.is_empty() && label.chars().all(legal));
    is_legal.then_some(name)
}

/// `allowed_hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHosts(Vec<HostRule>);

impl Default for AllowedHosts {
    /// S3's own hosts in every partition.
    fn default() -> Self {
        Self(vec![HostRule { who: Who::S3, port: Port::One(HTTPS_PORT) }])
    }
}

impl AllowedHosts {
    /// Admits what one of `rules` does.
    pub fn new(rules: Vec<HostRule>) -> Self {
        Self(rules)
    }

    /// Whether something may be sent to this URL, as far as the URL tells.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Form);
        }
        let port = url.port_or_known_default().ok_or(Refused::Form)?;
        let address = match url.host().ok_or(Refused::Form)? {
            Host::Domain(host) => {
                let name = canonical(host).ok_or_else(|| Refused::Host(host.to_owned()))?;
                self.check_rules(&name, port, |rule| rule.admits_name(&name))?;
                return check_scheme(url, &name);
            }
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        // Such an entry says that somebody knows this very server: it may do without TLS.
        self.check_rules(&address.to_string(), port, |rule| rule.holds(address))?;
        matches!(url.scheme(), "https" | "http").then_some(()).ok_or(Refused::Form)
    }

    fn check_rules(
        &self,
        host: &str,
        port: u16,
        is_for: impl Fn(&HostRule) -> bool,
    ) -> Result<(), Refused> {
        let mut rules = self.0.iter().filter(|rule| is_for(rule)).peekable();
        if rules.peek().is_none() {
            return Err(Refused::Host(host.to_owned()));
        }
        let admitted = rules.any(|rule| rule.port.admits(port));
        admitted.then_some(()).ok_or_else(|| Refused::Port { host: host.to_owned(), port })
    }

    /// Whether an admitted name, asked for at `port`, may lead to this address.
    ///
    /// # Errors
    /// Why not.
    pub fn check_address(&self, address: IpAddr, port: u16) -> Result<(), Refused> {
        let Some(kind) = address::never_public(address) else { return Ok(()) };
        let mut rules = self.0.iter();
        let admitted = rules.any(|rule| rule.holds(address) && rule.port.admits(port));
        admitted.then_some(()).ok_or(Refused::Address { address, kind })
    }
}

fn check_scheme(url: &Url, name: &str) -> Result<(), Refused> {
    match url.scheme() {
        "https" => Ok(()),
        _ => Err(Refused::Plain(name.to_owned())),
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_v6 = matches!(&self.who, Who::Block(block) if block.is_v6());
        let has_port = self.port != Port::One(HTTPS_PORT);
        match &self.who {
            Who::Name(name) => f.write_str(name)?,
            Who::Below(suffix) => write!(f, "*.{suffix}")?,
            Who::Block(block) if is_v6 && has_port => write!(f, "[{block}]")?,
            Who::Block(block) => block.fmt(f)?,
            Who::S3 => f.write_str(S3)?,
        }
        match self.port {
            Port::One(HTTPS_PORT) => Ok(()),
            Port::One(port) => write!(f, ":{port}"),
            Port::Any => f.write_str(":*"),
        }
    }
}
