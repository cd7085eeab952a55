//! The arguments of the verbs for those who watch.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueHint};

/// `metrics`
#[derive(Debug, Args)]
pub struct Metrics {
    /// Write them into FILE, for a node exporter: it is replaced at once, and ends in .prom
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub textfile: Option<PathBuf>,
    /// Print OpenMetrics instead of the text format of Prometheus
    #[arg(long, conflicts_with = "textfile")]
    pub openmetrics: bool,
}

/// `serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// An address of this machine's own to listen on
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9469",
        conflicts_with = "socket"
    )]
    pub listen: SocketAddr,
    /// A socket file to listen on instead
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,
}

/// `report`
#[derive(Debug, Args)]
pub struct Report {
    /// One page of HTML that needs nothing else [default]
    #[arg(long, conflicts_with = "markdown")]
    pub html: bool,
    /// Markdown
    #[arg(long)]
    pub markdown: bool,
    /// Write it into FILE, which is replaced
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}
