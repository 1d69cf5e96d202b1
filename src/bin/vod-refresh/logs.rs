//! Log lines of the library on stderr: all of them with `-v`, else its warnings as short lines.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::talk::{LogFormat, TalkArgs};
use crate::formatting::{escape_control, shorten};
use crate::printer::Printer;

/// Warnings of one place in the code beyond this are not shown: strangers can cause them without end.
const SAME_WARNING: u32 = 3;

/// Sends what the library logs where the options want it. Only the first call in a process counts.
pub(crate) fn start(talk: &TalkArgs, printer: &Printer) {
    if talk.quiet && talk.verbose == 0 {
        return;
    }
    // Crates below ours are left out: they log requests, which hold signatures.
    let level = match talk.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let ours = Targets::new().with_target("vod_refresh", level);
    let writer = {
        let printer = printer.clone();
        move || LineWriter(printer.clone())
    };
    let registry = tracing_subscriber::registry();
    let started = match (talk.log_format, talk.verbose) {
        (LogFormat::Json, _) => registry
            .with(tracing_subscriber::fmt::layer().json().with_writer(writer).with_filter(ours))
            .try_init(),
        (LogFormat::Text, 0) => registry.with(ShortLines::new(printer.clone()).with_filter(ours)).try_init(),
        (LogFormat::Text, _) => {
            // Never coloured: that is a feature which we don't build, and asking for it all the same is a fault.
            let layer = tracing_subscriber::fmt::layer().with_ansi(false);
            registry.with(layer.with_writer(writer).with_filter(ours)).try_init()
        }
    };
    // The demo comes here twice; the first one stays.
    drop(started);
}

/// Writes whole lines through the printer.
struct LineWriter(Printer);

impl io::Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_stderr(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Warnings as lines for people: `warning: refused a callback (why: no x-vod-timestamp header)`.
struct ShortLines {
    printer: Printer,
    /// How often each place in the code has spoken.
    spoken: Mutex<HashMap<tracing::callsite::Identifier, u32>>,
}

impl ShortLines {
    fn new(printer: Printer) -> Self {
        Self { printer, spoken: Mutex::new(HashMap::new()) }
    }
}

impl<S: Subscriber> Layer<S> for ShortLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let times = {
            let mut spoken = self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
            let times = spoken.entry(event.metadata().callsite()).or_insert(0);
            *times += 1;
            *times
        };
        let mut words = Words::default();
        event.record(&mut words);
        match times {
            ..=SAME_WARNING => {
                let line = words.line();
                if *event.metadata().level() == Level::ERROR {
                    self.printer.fail(&[format!("error: {line}")]);
                } else {
                    self.printer.warn(&line);
                }
            }
            _ if times == SAME_WARNING + 1 => {
                self.printer
                    .warn(&format!("more of the same is not shown (`-v` shows all): {}", words.message));
            }
            _ => {}
        }
    }
}

/// The message and the fields of one event.
#[derive(Default)]
struct Words {
    message: String,
    fields: Vec<String>,
}

impl Words {
    fn line(&self) -> String {
        let mut line = self.message.clone();
        if !self.fields.is_empty() {
            let _ = write!(line, " ({})", self.fields.join(", "));
        }
        shorten(&escape_control(&line), 500)
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            self.fields.push(format!("{}: {value}", field.name()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
