//! Log lines of the library on stderr: all of them with `-v`, else its warnings as short lines.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::shared::{LogFormat, MessageArgs};
use crate::formatting::{escape_control, shorten};
use crate::printer::Printer;

/// Warnings of one place in the code beyond this are not shown: senders from outside can cause them without end.
const SAME_WARNING: u32 = 3;

/// Sends what the library logs where the options want it. Only the first call in a process counts.
pub(crate) fn start(talk: &MessageArgs, printer: &Printer) {
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
        (LogFormat::Text, 0) => registry
            .with(ShortLines { printer: printer.clone(), counts: Mutex::default() }.with_filter(ours))
            .try_init(),
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
    /// How many lines each place in the code has made.
    counts: Mutex<HashMap<tracing::callsite::Identifier, u32>>,
}

impl<S: Subscriber> Layer<S> for ShortLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let count = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(event.metadata().callsite()).or_insert(0);
            *count += 1;
            *count
        };
        let mut text = EventText::default();
        event.record(&mut text);
        match count {
            ..=SAME_WARNING if *event.metadata().level() == Level::ERROR => {
                self.printer.fail(&[format!("error: {}", text.line())]);
            }
            ..=SAME_WARNING => self.printer.warn(&text.line()),
            n if n == SAME_WARNING + 1 => {
                let message = text.message;
                self.printer.warn(&format!("more of the same is not shown (`-v` shows all): {message}"));
            }
            _ => {}
        }
    }
}

/// The message and the fields of one event.
#[derive(Default)]
struct EventText {
    message: String,
    fields: Vec<String>,
}

impl EventText {
    fn line(&self) -> String {
        let fields = self.fields.join(", ");
        let fields = if fields.is_empty() { fields } else { format!(" ({fields})") };
        shorten(&escape_control(&format!("{}{fields}", self.message)), 500)
    }
}

impl Visit for EventText {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            name => self.fields.push(format!("{name}: {value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
