//! The sources and their order, in scripted environments. No test touches the environment of the process.

mod files;
mod modes;
mod order;
mod services;
mod setup;
