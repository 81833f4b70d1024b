//! The arguments of `top`.

use std::time::Duration;

use clap::Args;

#[derive(Debug, Args)]
pub struct Top {
    /// Begin with this filter: states, `KEY=VALUE` labels, and text, with blanks between them
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    pub filter: String,
    /// How often the daemon is asked, e.g. `5s`; less often by itself where the daemon is slow
    #[arg(long, value_name = "TIME", default_value = "1s")]
    #[arg(value_parser = causeway::units::parse_duration)]
    pub every: Duration,
}
