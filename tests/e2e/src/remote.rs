//! A remote of the daemon's own, for tests of its parts.

use anyhow::Result;
use causewayd::base::Limits;
use causewayd::remote::{Credentials, Options, Secret};
use sandbox::Endpoint;

/// How an endpoint without TLS is reached: whatever it offers, by its key pair.
pub fn remote_options(name: &str, endpoint: &Endpoint) -> Result<Options> {
    let credentials = endpoint.credentials();
    let url = Some(endpoint.url());
    Ok(Options {
        name: name.parse()?,
        region: endpoint.region().to_owned(),
        credentials: Credentials::Static {
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: Secret::new(credentials.secret_access_key.clone()),
            session_token: credentials.session_token.clone().map(Secret::new),
        },
        expected_account: None,
        fips: false,
        dual_stack: false,
        path_style: true,
        s3_endpoint: url.clone(),
        sts_endpoint: None,
        ec2_endpoint: url.clone(),
        ssm_endpoint: url,
        ca_bundle: None,
        limits: Limits::default(),
    })
}
