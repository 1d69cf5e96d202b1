//! The emulator from outside: raw requests in, replies out. Tables for the gateway, paused time for the rest.

mod account;
mod bounds;
mod captures;
mod env;
mod events;
mod faults;
mod filters;
mod gateway;
mod keys;
mod operations;
mod pages;
mod queue;
mod sockets;
mod telling;
