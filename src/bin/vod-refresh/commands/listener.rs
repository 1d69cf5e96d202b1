//! The ears of a run: a port for events over HTTP, a queue, or both, with one inbox behind them.

use std::net::SocketAddr;

use secrecy::SecretString;
use vod_refresh::auth::callback::CallbackVerifier;
use vod_refresh::smq::QueueClient;
use vod_refresh::{EventReceiver, Inbox, Listener, QueueConsumer, QueueListener, VodClient};

use crate::args::connection::ConnectionArgs;
use crate::args::events::EventArgs;
use crate::exit::Failure;
use crate::keys::callback_keys;
use crate::listen::ListenAddress;
use crate::printer::Printer;
use crate::settings::Settings;
use crate::world::{World, variable};

/// Open ears, and the inbox behind them.
pub(crate) struct Ears {
    inbox: Inbox,
    listener: Option<Listener>,
    queue: Option<QueueListener>,
}

impl Ears {
    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    pub(crate) async fn close(self) {
        if let Some(listener) = self.listener {
            listener.close().await;
        }
        if let Some(queue) = self.queue {
            // What ended it early was a warning of the run.
            let _ = queue.close().await;
        }
    }
}

/// Listens where the settings say; `None` if they don't.
pub(crate) async fn open(
    settings: &Settings,
    client: &VodClient,
    world: &World,
    printer: &Printer,
) -> Result<Option<Ears>, Failure> {
    let events = &settings.events;
    if !events.any() {
        return Ok(None);
    }
    let inbox = Inbox::new();
    let listener = match events.callback_listen {
        Some(address) => Some(listen(address, events, &inbox, client, world, printer).await?),
        None => None,
    };
    let queue = match &events.queue {
        Some(url) => {
            let client = queue_client(url, client, &settings.connection, world)?;
            Some(QueueConsumer::new(client, inbox.clone()).spawn())
        }
        None => None,
    };
    Ok(Some(Ears { inbox, listener, queue }))
}

/// A client of the queue at `url`, with the credentials of `client`.
pub(super) fn queue_client(
    url: &str,
    client: &VodClient,
    connection: &ConnectionArgs,
    world: &World,
) -> Result<QueueClient, Failure> {
    let builder = QueueClient::builder(client.credentials(), url)
        .with_plain_http_allowed(connection.allows_http())
        .with_http_options(connection.http(world)?);
    Ok(builder.build()?)
}

async fn listen(
    address: ListenAddress,
    args: &EventArgs,
    inbox: &Inbox,
    client: &VodClient,
    world: &World,
    printer: &Printer,
) -> Result<Listener, Failure> {
    let keys = callback_keys(args.key.callback_auth_key_file.as_deref(), world, printer)?;
    if keys.is_empty() && !address.is_loopback() {
        if !args.allow_unsigned_callbacks {
            return Err(Failure::config(format!(
                "listening on {address} without a key would take events from anybody: give \
                 `--callback-auth-key-file` or {}, or allow it with `--allow-unsigned-callbacks`",
                variable::CALLBACK_KEY
            )));
        }
        printer.warn(&format!("anybody who reaches {address} can send events: they are not signed"));
    }
    let (given_url, own_inbox, signed) = (args.callback_url.clone(), inbox.clone(), !keys.is_empty());
    let listener = Listener::bind(address.0, |bound| {
        receiver(given_url, bound, own_inbox, keys).with_clock(client.service_clock())
    })
    .await?;
    let bound = listener.address();
    printer.say(&format!("listening for callbacks on {bound}"));
    if signed && args.callback_url.is_none() && bound.ip().is_unspecified() {
        printer.warn(&format!(
            "signatures are checked against http://{bound}/, which nobody can call: give `--callback-url`"
        ));
    }
    world.listening(bound);
    Ok(listener)
}

fn receiver(
    given_url: Option<String>,
    bound: SocketAddr,
    inbox: Inbox,
    keys: Vec<SecretString>,
) -> EventReceiver {
    let url = given_url.unwrap_or_else(|| format!("http://{bound}/"));
    EventReceiver::new(inbox, CallbackVerifier::new(url, keys))
}
