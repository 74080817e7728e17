//! wasm-bindgen's test runner, at the version in our lock file: what `cargo test` runs a wasm test
//! binary with. `.cargo/config.toml` reaches it through `tests/wbg-runner`.

fn main() -> anyhow::Result<()> {
    wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(std::env::args_os())
}
