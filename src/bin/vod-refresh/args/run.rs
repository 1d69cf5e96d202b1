//! What every command takes that drives a run or shows one.

use clap::Args;

use super::connection::ConnectionArgs;
use super::events::EventArgs;
use super::output::OutputArgs;
use super::waiting::WaitingArgs;
use crate::settings::Settings;
use crate::world::World;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) events: EventArgs,
    #[command(flatten)]
    pub(crate) waiting: WaitingArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

impl RunArgs {
    /// What the journal keeps of them: with the environment's where none were given.
    pub(crate) fn settings(&self, world: &World) -> Settings {
        Settings { connection: self.connection.settled(world), events: self.events.settled() }
    }
}
