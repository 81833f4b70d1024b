//! `[control]`: where the API is reached, and by whom.
//!
//! Rules that take two keys are here too: what is off loopback needs TLS, and whoever is asked for needs a
//! transport that proves it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::schema::socket_address;
use super::section::{Context, Section};
use crate::control::{Listen, Role, Settings, TlsFiles};

/// `sockaddr_un` has 108 bytes, the last one a zero.
const UNIX_PATH_BYTES_MAX: usize = 107;
/// An identity of a certificate: a SPIFFE ID has at most 2048 bytes.
const IDENTITY_BYTES_MAX: usize = 2048;
const IDENTITIES_MAX: usize = 1024;
const SUBMISSIONS_PER_SECOND: NonZeroU32 = NonZeroU32::new(20_000).expect("not 0");

pub(super) fn read(context: &Context, mut section: Section<'_>) -> Settings {
    let listen = section.parsed("listen", "a text", |text| listen(context, text));
    let listen = listen.unwrap_or_else(|| Listen::Unix("/run/causeway/control.sock".into()));
    let has_tls = section.has("tls");
    let tls = tls(section.section("tls"), has_tls);
    let has_access = section.has("access");
    let roles = access(section.list("access"), &listen);
    let per_second = section.number("submissions_per_second", 1..=1_000_000);
    // What is wrong by itself is mended first.
    if !section.is_faulty() {
        check_together(&section, &listen, has_tls, has_access);
    }
    section.finish();
    let submissions_per_second =
        per_second.and_then(NonZeroU32::new).unwrap_or(SUBMISSIONS_PER_SECOND);
    Settings { listen, tls, roles, submissions_per_second }
}

fn listen(context: &Context, text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let is_empty = path.is_empty();
        let path = context.resolve(path);
        let bytes = path.as_os_str().len();
        return if is_empty || path.file_name().is_none() {
            Err("'unix:' is followed by no path".to_owned())
        } else if bytes > UNIX_PATH_BYTES_MAX {
            Err(format!("the socket's path has {bytes} bytes: at most {UNIX_PATH_BYTES_MAX} work"))
        } else {
            Ok(Listen::Unix(path))
        };
    }
    let address = socket_address(text).map_err(|problem| format!("{problem} or unix:PATH"))?;
    Ok(Listen::Tcp(address))
}

/// The files are tried here already: what does not work is told with everything else that does not.
fn tls(mut section: Section<'_>, is_there: bool) -> Option<TlsFiles> {
    for key in ["cert", "key", "client_ca"] {
        if is_there {
            section.require(key);
        }
    }
    let files = (section.file("cert"), section.file("key"), section.file("client_ca"));
    let files = match files {
        (Some(cert), Some(key), Some(client_ca)) => Some(TlsFiles { cert, key, client_ca }),
        _ => None,
    };
    if let Some(Err(unusable)) = files.as_ref().map(TlsFiles::check) {
        section.fault(unusable.key, &format!("{} {}", unusable.path.display(), unusable.problem));
    }
    section.finish();
    files
}

fn access(entries: Vec<Section<'_>>, listen: &Listen) -> BTreeMap<String, Role> {
    let mut roles = BTreeMap::new();
    if let Some(one_too_many) = entries.get(IDENTITIES_MAX) {
        one_too_many.fault_here(&format!("at most {IDENTITIES_MAX} entries are read"));
    }
    for mut entry in entries.into_iter().take(IDENTITIES_MAX) {
        entry.require("identity");
        entry.require("role");
        let identity = entry.parsed("identity", "a text", |text| identity(text, listen));
        let role = entry.word("role", &Role::WORDS);
        if let (Some(identity), Some(role)) = (identity, role) {
            if roles.contains_key(&identity) {
                entry.fault("identity", &format!("'{identity}' has a role in an entry above"));
            }
            roles.insert(identity, role);
        }
        entry.finish();
    }
    roles
}

fn identity(text: &str, listen: &Listen) -> Result<String, String> {
    if text.len() > IDENTITY_BYTES_MAX || text.contains(char::is_control) {
        return Err("is no identity: it has control characters, or more than 2048 bytes".to_owned());
    }
    let uid = text.strip_prefix("uid:");
    match (listen, uid) {
        (Listen::Unix(_), Some(uid)) => match uid.parse::<u32>() {
            // As the daemon writes it: without zeros in front.
            Ok(uid) => Ok(format!("uid:{uid}")),
            Err(_) => Err(format!("'{text}' is no user id: expected such as uid:1000")),
        },
        (Listen::Unix(_), None) => Err(format!(
            "'{text}' cannot be proved on a Unix socket: expected a user id, such as uid:1000"
        )),
        (Listen::Tcp(_), Some(_)) => Err(format!(
            "'{text}' cannot be proved over TCP: expected a name of the client's certificate"
        )),
        (Listen::Tcp(_), None) => Ok(text.to_owned()),
    }
}

fn check_together(section: &Section<'_>, listen: &Listen, has_tls: bool, has_access: bool) {
    match listen {
        Listen::Unix(_) if has_tls => {
            section.fault("tls", "is for TCP: remove it, or listen on an address such as 0.0.0.0:7443");
        }
        Listen::Tcp(address) if !has_tls && !address.ip().is_loopback() => {
            let port = address.port();
            section.fault("listen", &format!(
                "{address} is not on loopback: that needs [control.tls] with cert, key and client_ca; \
                 or use unix:PATH or 127.0.0.1:{port}"
            ));
        }
        Listen::Tcp(_) if has_access && !has_tls => section.fault(
            "access",
            "nobody is authenticated on plain TCP: add [control.tls], or listen on unix:PATH",
        ),
        Listen::Tcp(_) if has_tls && !has_access => section.fault(
            "access",
            "is missing: with [control.tls] nobody may do anything until an entry gives a role, such \
             as identity = \"ops.example.org\", role = \"admin\"",
        ),
        Listen::Unix(_) | Listen::Tcp(_) => {}
    }
}
