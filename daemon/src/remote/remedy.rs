//! What a person can do about what can go wrong with every service, in one sentence each.

use super::Exchange;

pub const UNIDENTIFIED: &str = "let STS be reached (the remote's sts_endpoint), or expect no \
     account; the job goes on by itself";
pub const WRONG_IDENTITY: &str =
    "give the remote its own credentials, restart the daemon, and retry";
pub const UNTRUSTED: &str = "name the authority that signed it as the remote's ca_bundle, or \
     check that the endpoint is the one you mean";
pub const SERVER_FAULT: &str = "it is tried again; if it stays, ask whoever runs the server";
pub const UNANSWERED: &str =
    "it is tried again; if it stays, check the route, the firewall and DNS";

/// For a remote that asked to slow down.
pub fn throttled(exchange: &Exchange) -> String {
    let remote = exchange.remote.as_ref().map_or("REMOTE", |remote| remote.as_str());
    format!("it is tried again; `causeway limits set {remote}` keeps below what it takes")
}

/// For credentials that are not taken; `service` as people call it.
pub fn credentials(exchange: &Exchange, service: &str) -> String {
    match exchange.code.as_deref().unwrap_or_default() {
        "RequestTimeTooSkewed" => format!(
            "this machine's clock is wrong: {service} takes at most 15 minutes; synchronise it \
             (chrony)"
        ),
        "SignatureDoesNotMatch" | "InvalidSignatureException" => format!(
            "check the secret access key, and that nothing between here and {service} rewrites \
             requests"
        ),
        "InvalidAccessKeyId" | "AuthFailure" | "UnrecognizedClientException" => {
            "check the access key: it must belong to the remote's own partition".to_owned()
        }
        _ => "renew the remote's credentials; the job goes on by itself".to_owned(),
    }
}
