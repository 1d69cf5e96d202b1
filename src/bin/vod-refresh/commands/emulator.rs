//! `emulator`: the pretend cloud as a server, for people who test their own scripts.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use vod_refresh::emulator::{Emulator, Scenario};
use vod_refresh::net::{HttpOptions, HttpTransport};
use vod_refresh::{Error, ErrorKind};

use crate::args::emulator::EmulatorArgs;
use crate::exit::{ExitCode, Result};
use crate::files::shown;
use crate::formatting::{escape_control, shell_word};
use crate::printer::Printer;
use crate::signals::Signals;

pub(crate) async fn serve(args: &EmulatorArgs, printer: &Printer) -> Result<ExitCode> {
    let scenario = match &args.scenario {
        Some(path) => read(path)?,
        None => Scenario::new(),
    };
    let failed = |why: io::Error| {
        Error::new(ErrorKind::Config, format!("cannot listen on {}", args.listen)).with_source(why)
    };
    let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let signals = Signals::listen(printer, "stopping")?;
    if !args.listen.ip().to_canonical().is_loopback() {
        printer.warn("other machines can reach the emulator; it is made for tests and guards nothing");
    }
    printer.say(&format!("emulator listening on http://{address}"));
    introduce(&scenario, printer);
    let emulator = Emulator::new(scenario).with_event_transport(Arc::new(event_transport()?));
    emulator.serve(listener, signals.stop()).await;
    // Stopped on purpose, as it is meant to be.
    Ok(ExitCode::COMPLETE)
}

/// Which keys it takes, and where its events go.
fn introduce(scenario: &Scenario, printer: &Printer) {
    for (id, secret) in &scenario.keys {
        // Only the public test pair is shown: somebody may have put a real one into a scenario.
        let secret = if (id.as_str(), secret.as_str()) == ("testid", "testsecret") { secret } else { "…" };
        printer.say(&format!(
            "  export ALIBABA_CLOUD_ACCESS_KEY_ID={} ALIBABA_CLOUD_ACCESS_KEY_SECRET={secret}",
            shell_word(&escape_control(id))
        ));
    }
    match &scenario.callback {
        Some(callback) => {
            let signed = if callback.key.is_some() { "signed" } else { "not signed" };
            printer.say(&format!("  events go to {}, {signed}", escape_control(&callback.url)));
        }
        None => printer.say("  no events are sent: the scenario has no `callback`"),
    }
}

/// Events mostly go to this machine, which no proxy can reach.
pub(super) fn event_transport() -> Result<HttpTransport, Error> {
    let mut options = HttpOptions::default();
    options.proxy_from_environment = false;
    HttpTransport::new(&options)
}

fn read(path: &Path) -> Result<Scenario, Error> {
    let failed = |verb| Error::new(ErrorKind::Config, format!("cannot {verb} the scenario {}", shown(path)));
    let text = match path == Path::new("-") {
        true => io::read_to_string(io::stdin()),
        false => fs::read_to_string(path),
    };
    let text = text.map_err(|why| failed("read").with_source(why))?;
    Scenario::from_json(&text).map_err(|why| failed("use").with_source(why))
}
