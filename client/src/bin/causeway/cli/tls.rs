//! Who is who over https, and that no flag of it is dropped without a word: who names certificates believes that
//! they are shown. The environment is another matter, since it is set once for whatever endpoint comes.

use std::path::PathBuf;

use causeway::{Endpoint, TlsOptions};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error};

/// Clap's id of each flag.
const FLAGS: [(&str, &str); 4] = [
    ("ca", "--tls-ca"),
    ("cert", "--tls-cert"),
    ("key", "--tls-key"),
    ("server_name", "--tls-server-name"),
];

/// Who is who over https.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Tls {
    /// Who signed the daemon's certificate, in PEM [default: the system's roots]
    #[arg(long = "tls-ca", global = true, env = "CAUSEWAY_TLS_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Your certificate, in PEM
    #[arg(long = "tls-cert", global = true, env = "CAUSEWAY_TLS_CERT", value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long = "tls-key", global = true, env = "CAUSEWAY_TLS_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// The name in the daemon's certificate, where the endpoint has another, as through a tunnel
    #[arg(long = "tls-server-name", global = true, env = "CAUSEWAY_TLS_SERVER_NAME")]
    #[arg(value_name = "NAME")]
    server_name: Option<String>,
}

impl Tls {
    /// What to say besides, where a daemon at this endpoint cannot be reached.
    pub fn hint(&self, endpoint: &str) -> Option<&'static str> {
        let is_given = TlsOptions::from(self.clone()) != TlsOptions::default();
        let is_plain = matches!(endpoint.parse::<Endpoint>(), Ok(Endpoint::Loopback(_)));
        (is_given && is_plain).then_some(
            "the TLS settings are for https:// and were not used: where the daemon has \
             [control.tls], write --endpoint https://HOST:PORT",
        )
    }
}

impl From<Tls> for TlsOptions {
    fn from(tls: Tls) -> Self {
        let Tls { ca, cert, key, server_name } = tls;
        Self { ca, cert, key, server_name }
    }
}

/// Refuses a flag where the endpoint is not https. An endpoint that is none is for others to refuse.
pub fn check(command: &mut Command, matches: &ArgMatches) -> Result<(), Error> {
    let endpoint = matches.get_one::<String>("endpoint");
    let endpoint: Option<Endpoint> = endpoint.and_then(|text| text.parse().ok());
    let Some(endpoint @ (Endpoint::Unix(_) | Endpoint::Loopback(_))) = endpoint else {
        return Ok(());
    };
    let is_typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    match FLAGS.iter().find(|flag| is_typed(flag.0)) {
        Some((_, flag)) => {
            let text = format!(
                "{flag} is for https, and the endpoint is {endpoint}: write --endpoint \
                 https://HOST:PORT"
            );
            Err(command.error(ErrorKind::ArgumentConflict, text))
        }
        None => Ok(()),
    }
}
