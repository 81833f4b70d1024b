//! What a client's certificate says of who it is. The chain was verified before: this only reads names.

use std::time::SystemTime;

use x509_cert::Certificate as X509;
use x509_cert::der::asn1::{PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::{Any, Decode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::model::Timestamp;

/// Names that are read of one certificate. The entries of a role are compared with each.
const NAMES_MAX: usize = 64;
/// `id-at-commonName`, X.520.
const COMMON_NAME: &str = "2.5.4.3";

/// Who a certificate is for, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct Certificate {
    /// URIs, DNS names and mail addresses of the SAN, then the CN; as they stand there.
    pub(super) identities: Vec<String>,
    pub(super) ends_at: Timestamp,
}

impl Certificate {
    /// The name that people know it by.
    pub(super) fn subject(&self) -> &str {
        self.identities.first().map_or("nobody", String::as_str)
    }
}

/// Reads the certificate. `None` where it is none that can be read.
pub(in crate::control) fn read(der: &[u8]) -> Option<Certificate> {
    let certificate = X509::from_der(der).ok()?.tbs_certificate;
    let alternative = certificate.get::<SubjectAltName>().ok()?;
    let names = alternative.map(|(_, names)| names.0).unwrap_or_default();
    let names = names.into_iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(text)
        | GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text) => Some(text.as_str().to_owned()),
        _ => None,
    });
    let parts = certificate.subject.0.iter().flat_map(|part| part.0.iter());
    let common = parts.filter(|part| part.oid.to_string() == COMMON_NAME);
    let common = common.filter_map(|part| text(&part.value));
    // A name with control characters could pass for another one in a log; nobody writes such an entry.
    let legible = |name: &String| !name.is_empty() && !name.contains(char::is_control);
    let identities = names.chain(common).filter(legible).take(NAMES_MAX).collect();
    let ends_at = certificate.validity.not_after.to_system_time();
    let since = ends_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let ends_at = Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Some(Certificate { identities, ends_at })
}

/// A name in one of the three types that certificates have it in.
fn text(value: &Any) -> Option<String> {
    let utf8 = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
    let printable =
        || value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned());
    let teletex = || value.decode_as::<TeletexStringRef<'_>>().map(|text| text.as_str().to_owned());
    utf8.or_else(|_| printable()).or_else(|_| teletex()).ok()
}
