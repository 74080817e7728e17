//! `reveille demo`: a server, and two small agents beside it that are reached over real HTTP. A planner, woken by signed
//! webhooks, gives jobs to three workers, woken through a runner, and wakes with each of their answers. Neither keeps
//! anything in memory from one wake to the next: killed at any moment and started again, the demo goes on.

mod cause;
mod plan;
mod planner;
mod printer;
mod scene;
mod signature;
mod timeline;
mod work;
mod worker;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use reveille::{Server, StartError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::{Client, Failure};
use crate::demo::scene::Scene;
use crate::demo::timeline::Timeline;

/// Starts the server and the agents, and ends them at a signal.
pub(crate) async fn run(server: Server, start: Instant) -> ExitCode {
    let began = SystemTime::now();
    let mut running = match server.start().await {
        Ok(running) => running,
        Err(error) => {
            let code = if matches!(error, StartError::Held { .. }) { crate::REFUSED } else { crate::FAILURE };
            return crate::complain(&error.to_string(), code);
        }
    };
    crate::greet(&running, start);
    let stop = crate::signal();
    tokio::pin!(stop);
    let cast = match Cast::enter(running.url(), began).await {
        Ok(cast) => cast,
        Err(error) => {
            running.shutdown().await;
            return crate::complain(&format!("the demo cannot be set up: {error}"), crate::FAILURE);
        }
    };
    tokio::select! {
        () = &mut stop => {}
        () = running.failed() => return crate::complain("the engine has ended; its log says why", crate::FAILURE),
    }
    cast.leave().await;
    // A second signal does not wait.
    tokio::select! {
        () = running.shutdown() => ExitCode::SUCCESS,
        () = crate::signal() => ExitCode::from(130),
    }
}

/// The two agents at work.
struct Cast {
    leave: watch::Sender<bool>,
    agents: [JoinHandle<()>; 2],
}

impl Cast {
    /// Brings the agents up and gives them something to do, unless they have something to finish.
    async fn enter(url: &str, began: SystemTime) -> Result<Self, Failure> {
        let client = Client::new(url)?;
        let (leave, leaving) = watch::channel(false);
        let scene = Scene::set(&client).await?;
        let timeline = Timeline::begin(&scene, url, began);
        let planner = planner::Planner::new(client.clone(), timeline.clone());
        let worker = worker::Worker::new(client.clone(), timeline.clone(), scene.runner());
        let (listener, open) = (scene.listener, scene.open);
        let agents = [tokio::spawn(planner.serve(listener, leaving.clone())), tokio::spawn(worker.serve(leaving))];
        scene::raise_the_curtain(&client, &open, &timeline).await?;
        Ok(Self { leave, agents })
    }

    /// Lets the agents finish what they are doing, which takes them milliseconds.
    async fn leave(self) {
        let _ = self.leave.send(true);
        for agent in self.agents {
            let _ = tokio::time::timeout(FAREWELL, agent).await;
        }
    }
}

const FAREWELL: Duration = Duration::from_secs(2);
