//! Operators as processes, which can be killed and frozen.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use kube::config::{Kubeconfig, NamedCluster};
use rustix::process::{Pid, Signal, kill_process};
use test_cluster::Cluster;
use tokio::task::AbortHandle;

const PACE: Duration = Duration::from_millis(200);

/// The operators of one namespace, each started again when it ends by itself, as a kubelet does. They end with this.
pub struct Operators {
    namespace: String,
    folder: PathBuf,
    kubeconfig: Kubeconfig,
    running: Arc<Mutex<Vec<Operator>>>,
    started: usize,
    supervisor: AbortHandle,
}

struct Operator {
    name: String,
    kubeconfig: PathBuf,
    child: Child,
    /// How often it ended by itself.
    ends: usize,
}

impl Operators {
    /// One of them.
    pub fn begin(cluster: &Cluster, namespace: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(namespace);
        fs::create_dir_all(&folder).unwrap();
        let mut kubeconfig = Kubeconfig::read_from(cluster.kubeconfig_path()).unwrap();
        for context in kubeconfig.contexts.iter_mut().filter_map(|context| context.context.as_mut()) {
            context.namespace = Some(namespace.to_owned());
        }
        let running = Arc::new(Mutex::new(Vec::new()));
        let supervisor = tokio::spawn(supervise(Arc::clone(&running), namespace.to_owned())).abort_handle();
        let namespace = namespace.to_owned();
        let mut operators = Self { namespace, folder, kubeconfig, running, started: 0, supervisor };
        operators.start(None);
        operators
    }

    /// Starts another, which asks the API server, or whoever answers for it at this URL.
    pub fn start(&mut self, through: Option<&str>) {
        self.started += 1;
        let name = format!("operator-{}", self.started);
        let mut kubeconfig = self.kubeconfig.clone();
        if let Some(url) = through {
            let redirect = |cluster: &mut NamedCluster| {
                let Some(cluster) = &mut cluster.cluster else { return };
                cluster.server = Some(url.to_owned());
                cluster.certificate_authority_data = None;
            };
            kubeconfig.clusters.iter_mut().for_each(redirect);
        }
        let file = self.folder.join(format!("{name}.kubeconfig"));
        fs::write(&file, serde_saphyr::to_string(&kubeconfig).unwrap()).unwrap();
        let child = run(&name, &file, &self.namespace);
        self.running().push(Operator { name, kubeconfig: file, child, ends: 0 });
    }

    fn running(&self) -> MutexGuard<'_, Vec<Operator>> {
        self.running.lock().unwrap()
    }

    /// Ends all of them at once, as a lost node does.
    pub fn kill(&mut self) {
        for mut operator in self.running().drain(..) {
            let _ = operator.child.kill();
            let _ = operator.child.wait();
        }
    }

    /// Ends all of them in order.
    pub fn end(&mut self) {
        let mut running: Vec<Operator> = self.running().drain(..).collect();
        for operator in &running {
            signal(&operator.child, Signal::TERM);
        }
        for Operator { name, child, .. } in &mut running {
            assert!(child.wait().unwrap().success(), "{name} did not end in order");
        }
    }

    /// Nothing of the operator of that name runs from here on, until [`Operators::wake`].
    pub fn freeze(&self, name: &str) {
        self.of(name, |operator| signal(&operator.child, Signal::STOP));
    }

    pub fn wake(&self, name: &str) {
        self.of(name, |operator| signal(&operator.child, Signal::CONT));
    }

    /// Waits until the operator of that name has ended by itself.
    pub async fn ended(&self, name: &str) {
        while self.of(name, |operator| operator.ends) == 0 {
            tokio::time::sleep(PACE).await;
        }
    }

    fn of<T>(&self, name: &str, look: impl FnOnce(&Operator) -> T) -> T {
        look(self.running().iter().find(|operator| operator.name == name).unwrap())
    }

    /// The most memory that one of them has.
    pub fn resident_kib(&self) -> u64 {
        let of_process = |operator: &Operator| {
            let status = fs::read_to_string(format!("/proc/{}/status", operator.child.id()));
            let status = status.unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        self.running().iter().map(of_process).max().unwrap_or(0)
    }
}

impl Drop for Operators {
    fn drop(&mut self) {
        self.supervisor.abort();
        self.kill();
    }
}

async fn supervise(running: Arc<Mutex<Vec<Operator>>>, namespace: String) {
    loop {
        tokio::time::sleep(PACE).await;
        for operator in running.lock().unwrap().iter_mut() {
            if operator.child.try_wait().unwrap().is_some() {
                operator.ends += 1;
                operator.child = run(&operator.name, &operator.kubeconfig, &namespace);
            }
        }
    }
}

fn run(name: &str, kubeconfig: &Path, namespace: &str) -> Child {
    let log = kubeconfig.with_extension("log");
    let log = fs::File::options().create(true).append(true).open(log).unwrap();
    Command::new(env!("CARGO_BIN_EXE_workspace-operator"))
        .args(["run", "--namespace", namespace, "--hash-key-namespace", namespace])
        .args(["--registration=false", "--leader-election=true", "--listen=127.0.0.1:0"])
        .env("KUBECONFIG", kubeconfig)
        .env("HOSTNAME", name)
        .env("RUST_LOG", "info")
        .stdout(Stdio::from(log.try_clone().unwrap()))
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}
