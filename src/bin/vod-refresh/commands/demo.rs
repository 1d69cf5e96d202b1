//! `demo`: the main job as a user does it, against a cloud in this process, over real sockets.
//!
//! The command line that it shows is the one that it parses and runs. Only the surroundings are made up: two public
//! test keys instead of the environment, and no proxy.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser as _, ValueEnum as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vod_refresh::auth::credentials::{KEY_ID_VARIABLE, SECRET_VARIABLE};
use vod_refresh::emulator::{Callback, Emulator, Scenario};
use vod_refresh::{Error, ErrorKind};

use super::{emulator, refresh};
use crate::args::runs::RefreshArgs;
use crate::args::shared::Form;
use crate::args::{Cli, Command};
use crate::environment::{Environment, variable};
use crate::exit::{ExitCode, Result};
use crate::printer::Printer;

/// A key for events, as made up as the cloud.
const CALLBACK_KEY: &str = "DemoCallbackKey1";
const MEDIA: [&str; 3] = ["intro-4k", "lesson-01", "lesson-02"];

pub(crate) async fn show(form: Form, printer: &Printer) -> Result<ExitCode> {
    let failed =
        |why: std::io::Error| Error::new(ErrorKind::Config, "cannot listen on this machine").with_source(why);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let line = command_line(listener.local_addr().map_err(failed)?, form);
    // A healthy cloud, quick enough to display.
    let scenario = Scenario::new()
        .with(|s| s.job_delay = Duration::from_millis(800))
        .with(|s| s.task_duration = Duration::from_secs(3));
    let cloud = Emulator::new(scenario).with_event_transport(Arc::new(emulator::event_transport()?));
    printer.say("A pretend cloud runs inside this process. Against it, with test keys, this runs:");
    printer.say("");
    printer.say(&format!("$ {line}"));
    printer.say("");
    let stop = CancellationToken::new();
    let serving = tokio::spawn({
        let (cloud, stop) = (cloud.clone(), stop.clone());
        async move { cloud.serve(listener, stop).await }
    });
    let ended = refresh::refresh(&*parse(&line)?, &environment(cloud, printer)).await;
    stop.cancel();
    // It has a second to say goodbye; nobody waits for more.
    let _ = serving.await;
    let code = ended?;
    if code == ExitCode::COMPLETE {
        printer.say("");
        printer.say("Try next:");
        printer.say(
            "  vod-refresh emulator --listen 127.0.0.1:8089    a cloud to test your own scripts against",
        );
        printer.say("  vod-refresh refresh --help                      all options, with examples");
    }
    Ok(code)
}

fn command_line(address: SocketAddr, form: Form) -> String {
    let form = form.to_possible_value();
    // What happens here is no run of anybody's, so no journal keeps it.
    format!(
        "vod-refresh refresh {} --endpoint http://{address} --callback-listen 127.0.0.1:0 --timeout 1m --no-journal \
         --verify-edge --edge-node http://{address} --output {}",
        MEDIA.join(" "),
        form.as_ref().map_or("text", |form| form.get_name())
    )
}

fn parse(line: &str) -> Result<Box<RefreshArgs>, Error> {
    match Cli::try_parse_from(line.split(' ')).map(|cli| cli.command) {
        Ok(Command::Refresh(args)) => Ok(args),
        Ok(_) => Err(Error::new(ErrorKind::Internal, "the demo runs another command")),
        Err(why) => Err(Error::new(ErrorKind::Internal, "the demo's command is wrong").with_source(why)),
    }
}

/// What the command finds around it: made-up keys. The cloud learns where events are to go when the port is known.
fn environment(cloud: Emulator, printer: &Printer) -> Environment {
    let keys = [
        (KEY_ID_VARIABLE, "testid"),
        (SECRET_VARIABLE, "testsecret"),
        (variable::CALLBACK_KEY, CALLBACK_KEY),
    ];
    let keys = keys.map(|(name, value)| (name, value.to_owned())).to_vec();
    Environment::of_variables(keys, printer.clone()).with_on_listening(move |address| {
        let url = format!("http://{address}/");
        cloud.set_callback(Some(Callback { url, key: Some(CALLBACK_KEY.to_owned()) }));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_is_shown_is_one() {
        for output in [Form::Text, Form::Json, Form::Ndjson] {
            let args = parse(&command_line(([127, 0, 0, 1], 8089).into(), output)).unwrap();
            assert_eq!((args.media.media.len(), args.media.run.output.output), (MEDIA.len(), output));
        }
    }
}
