//! `demo`: the main job as a user does it, against a cloud in this process, over real sockets.
//!
//! The command line that it shows is the one that it parses and runs. Only the surroundings are made up: two public
//! test keys instead of the environment, and no proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vod_refresh::auth::credentials::{KEY_ID_VARIABLE, SECRET_VARIABLE};
use vod_refresh::emulator::{Callback, Emulator, Scenario};
use vod_refresh::net::{HttpOptions, HttpTransport};
use vod_refresh::vod::TaskType;
use vod_refresh::{Error, ErrorKind};

use super::{block_on, media};
use crate::args::media::MediaArgs;
use crate::args::{Cli, Command, DemoArgs};
use crate::exit::{ExitCode, Failure};
use crate::formatting::shell_line;
use crate::printer::Printer;
use crate::world::{World, variable};

/// A key for events, as made up as the cloud.
const CALLBACK_KEY: &str = "DemoCallbackKey1";
const MEDIA: [&str; 3] = ["intro-4k", "lesson-01", "lesson-02"];

pub(crate) fn execute(args: &DemoArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    block_on(show(args, printer))
}

async fn show(args: &DemoArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let failed =
        |why: std::io::Error| Error::new(ErrorKind::Config, "cannot listen on this machine").with_source(why);
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let emulator = Emulator::new(scenario()).with_event_transport(Arc::new(transport()?));
    let words = command_line(address, args);
    explain(&words, printer);
    let stop = CancellationToken::new();
    let cloud = tokio::spawn({
        let (emulator, stop) = (emulator.clone(), stop.clone());
        async move { emulator.serve(listener, stop).await }
    });
    let ended = media::execute_in(TaskType::Refresh, &*parse(&words)?, &world(emulator), printer).await;
    stop.cancel();
    // It has a second to say goodbye; nobody waits for more.
    let _ = cloud.await;
    let code = ended?;
    if code == ExitCode::Complete {
        suggest(printer);
    }
    Ok(code)
}

/// A healthy cloud, quick enough to watch.
fn scenario() -> Scenario {
    Scenario::new().with_job_delay(Duration::from_millis(800)).with_task_duration(Duration::from_secs(3))
}

fn transport() -> Result<HttpTransport, Error> {
    let mut options = HttpOptions::default();
    options.proxy_from_environment = false;
    options.plain_http_only = true;
    HttpTransport::new(&options)
}

fn command_line(address: SocketAddr, args: &DemoArgs) -> Vec<String> {
    let mut words: Vec<String> = vec!["vod-refresh".into(), "refresh".into()];
    words.extend(MEDIA.map(str::to_owned));
    words.extend(["--endpoint".into(), format!("http://{address}")]);
    words.extend(["--callback-listen".into(), "127.0.0.1:0".into()]);
    words.extend(["--timeout".into(), "1m".into()]);
    // What happens here is no run of anybody's.
    words.push("--no-journal".into());
    words.extend(["--output".into(), args.output.as_str().into()]);
    words
}

fn parse(words: &[String]) -> Result<Box<MediaArgs>, Failure> {
    match Cli::try_parse_from(words).map(|cli| cli.command) {
        Ok(Command::Refresh(args)) => Ok(args),
        Ok(_) => Err(Error::new(ErrorKind::Internal, "the demo runs another command").into()),
        Err(why) => {
            Err(Error::new(ErrorKind::Internal, "the demo's command is wrong").with_source(why).into())
        }
    }
}

/// What the command finds around it: made-up keys. The cloud learns where events are to go when the port is known.
fn world(emulator: Emulator) -> World {
    let keys = [
        (KEY_ID_VARIABLE, "testid"),
        (SECRET_VARIABLE, "testsecret"),
        (variable::CALLBACK_KEY, CALLBACK_KEY),
    ];
    World::of(keys.map(|(name, value)| (name, value.to_owned())).to_vec()).with_on_listening(move |address| {
        let url = format!("http://{address}/");
        emulator.set_callback(Some(Callback { url, key: Some(CALLBACK_KEY.to_owned()) }));
    })
}

fn explain(words: &[String], printer: &Printer) {
    printer.say("A pretend cloud runs inside this process. Against it, with test keys, this runs:");
    printer.say("");
    printer.say(&format!("$ {}", shell_line(words)));
    printer.say("");
}

fn suggest(printer: &Printer) {
    printer.say("");
    printer.say("Try next:");
    printer.say("  vod-refresh emulator --listen 127.0.0.1:8089    a cloud to test your own scripts against");
    printer.say("  vod-refresh refresh --help                      all options, with examples");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::output::Form;

    #[test]
    fn the_command_that_is_shown_is_one() {
        for output in [Form::Text, Form::Json, Form::Ndjson] {
            let words = command_line(([127, 0, 0, 1], 8089).into(), &DemoArgs { output });
            let args = parse(&words).unwrap();
            assert_eq!((args.media.len(), args.run.output.output), (MEDIA.len(), output));
        }
    }
}
