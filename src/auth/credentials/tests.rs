//! The sources and their order, in scripted worlds.
