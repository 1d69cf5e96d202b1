//! The sources and their order, in scripted worlds. No test touches the environment of the process.

mod files;
mod modes;
mod order;
mod scene;
mod services;
