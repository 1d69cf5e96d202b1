//! Options of `emulator` and `demo`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::shared::Form;
use super::values::listen_address;

/// `emulator`: where to listen and what to play.
#[derive(Debug, Args)]
pub(crate) struct EmulatorArgs {
    /// Address to serve on; port 0 picks one and prints it [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    #[arg(default_value = "127.0.0.1:0", hide_default_value = true)]
    pub(crate) listen: SocketAddr,
    /// How the cloud behaves: a JSON file (`-` is stdin) [default: a healthy cloud]
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,
}

/// `demo`: only the form of its result.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// What goes to stdout
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    pub(crate) output: Form,
}
