//! The engine as a host drives it: requests in, turns out, on a database in memory.

mod authorise;
mod dispatch;
mod driver;
mod egress;
mod holes;
mod laws;
mod loops;
mod mended;
mod properties;
mod schemas;
mod shapes;
mod simulator;
mod streams;
mod wakes;
mod world;
