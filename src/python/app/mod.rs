//! `_ziggurat.App`: what `ziggurat.Ziggurat` fills, freezes and serves.

mod build;
mod built;
mod class;
mod draft;
pub(super) mod embed;
mod ending;
mod guarded;
mod in_process;
mod inherited;
mod listed;
mod migrate;
mod resource;
mod runtime;
mod serving;
mod settings;
mod shown;
mod unreached;

pub(super) use self::class::App;
pub(super) use self::in_process::Sent;
pub(super) use self::runtime::set_io_threads;
