//! wasm-bindgen's command line, at the version in our lock file.
//!
//! Not named `wasm-bindgen`: rustc takes a crate of that name for an old version of the library.

fn main() -> anyhow::Result<()> {
    wasm_bindgen_cli::wasm_bindgen::run_cli_with_args(std::env::args_os())
}
