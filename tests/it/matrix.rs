//! Every fault at every stage of a run, and every fate of an event: which outcome, which exit code.
//!
//! The table is in `snapshots/it__matrix__faults.snap`; `INSTA_UPDATE=always` writes it anew. Read the difference as
//! a user would: a cell that changes is an exit code that changes.

mod cell;
mod events;
mod rows;

use std::fmt::Write;

use vod_refresh::emulator::{Fault, FaultRule};

pub(crate) use cell::in_paused_time;
use cell::{Cell, run};
pub(crate) use rows::faults;

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The submission, with lookups alone.
    Submit,
    /// The submission, while events come.
    SubmitWithEvents,
    /// The lookup that confirms the tasks.
    Confirm,
    /// The same, where events have told of the tasks already.
    ConfirmWithEvents,
    /// The look at one task.
    Poll,
    /// The look at many.
    List,
    /// Reading events from the queue.
    Receive,
    /// Deleting them there.
    Delete,
}

impl Stage {
    const ALL: [(Self, &str); 8] = [
        (Self::Submit, "submit"),
        (Self::SubmitWithEvents, "submit, with events"),
        (Self::Confirm, "confirm"),
        (Self::ConfirmWithEvents, "confirm, with events"),
        (Self::Poll, "poll one by one"),
        (Self::List, "poll by listing"),
        (Self::Receive, "queue: receive"),
        (Self::Delete, "queue: delete"),
    ];

    fn rule(self, fault: Fault) -> FaultRule {
        match self {
            Self::Submit | Self::SubmitWithEvents => FaultRule::on("RefreshMediaPlayUrls", fault),
            Self::Confirm | Self::ConfirmWithEvents => FaultRule::on("GetMediaRefreshJobs", fault),
            Self::Poll => FaultRule::on("DescribeVodRefreshTasks", fault),
            Self::List => FaultRule::on("DescribeVodRefreshTasks", fault).for_task(""),
            Self::Receive => FaultRule::on("BatchReceiveMessage", fault),
            Self::Delete => FaultRule::on("BatchDeleteMessage", fault),
        }
    }
}

#[test]
fn every_fault_at_every_stage_ends_as_the_table_says() {
    let mut table = String::new();
    for (times, title) in [(1, "Struck once"), (0, "Struck for ever, 20 minutes allowed")] {
        head(&mut table, title, "fault", Stage::ALL.map(|(_, name)| name));
        for (name, fault) in faults() {
            let cells = Stage::ALL.map(|(stage, _)| {
                run(
                    &format!("{name} at {stage:?}, times {times}"),
                    stage,
                    stage.rule(fault.clone()).times(times),
                )
            });
            row(&mut table, &name, cells);
        }
    }
    insta::assert_snapshot!("faults", table);
}

#[test]
fn every_fate_of_an_event_ends_as_the_table_says() {
    let mut table = String::new();
    head(&mut table, "Events", "event", events::COLUMNS);
    for (name, fate) in events::fates() {
        row(&mut table, name, events::run(name, &fate));
    }
    insta::assert_snapshot!("events", table);
}

/// The names of the variants, as their reader knows them: a new one fails here until it has a row.
#[test]
fn no_fault_is_without_a_row() {
    let unknown = serde_json::from_str::<Fault>("\"no such fault\"").unwrap_err().to_string();
    let known: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
    assert!(known.len() >= 15, "{unknown}");
    let rows = faults();
    for name in known {
        assert!(rows.iter().any(|(_, fault)| fault.name() == name), "{name} has no row");
    }
}

fn head<const N: usize>(table: &mut String, title: &str, first: &str, columns: [&str; N]) {
    if !table.is_empty() {
        table.push('\n');
    }
    writeln!(table, "### {title}\n\n| {first} | {} |", columns.join(" | ")).unwrap();
    writeln!(table, "|{}", " --- |".repeat(N + 1)).unwrap();
}

fn row<const N: usize>(table: &mut String, name: &str, cells: [Cell; N]) {
    let cells = cells.map(|cell| cell.to_string());
    writeln!(table, "| {name} | {} |", cells.join(" | ")).unwrap();
}
