use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use crate::{
    error::{Doing, Error},
    layout::{self, Layout},
    network,
};

/// Who asks or answers with a certificate of the cluster's authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    Admin,
    ApiServer,
    /// The API server as a client of the kubelet, for logs and exec.
    ApiServerToKubelet,
    ControllerManager,
    Scheduler,
    Kwok,
    Kubelet,
    KubeletServer,
    KubeProxy,
    CoreDns,
}

const MASTERS: &str = "system:masters";
pub(crate) const REAL_NODE: &str = "real";

impl Identity {
    const ALL: [Self; 10] = [
        Self::Admin,
        Self::ApiServer,
        Self::ApiServerToKubelet,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kwok,
        Self::Kubelet,
        Self::KubeletServer,
        Self::KubeProxy,
        Self::CoreDns,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::ApiServer => "apiserver",
            Self::ApiServerToKubelet => "apiserver-to-kubelet",
            Self::ControllerManager => "controller-manager",
            Self::Scheduler => "scheduler",
            Self::Kwok => "kwok",
            Self::Kubelet => "kubelet",
            Self::KubeletServer => "kubelet-server",
            Self::KubeProxy => "kube-proxy",
            Self::CoreDns => "coredns",
        }
    }

    /// User and group as the API server reads them out of the certificate.
    fn user_and_group(self) -> (String, Option<&'static str>) {
        match self {
            Self::ControllerManager | Self::Scheduler => (format!("system:kube-{}", self.name()), None),
            Self::KubeProxy => ("system:kube-proxy".into(), None),
            Self::Kubelet => (format!("system:node:{REAL_NODE}"), Some("system:nodes")),
            Self::ApiServer | Self::KubeletServer => (self.name().into(), None),
            Self::Admin | Self::ApiServerToKubelet | Self::Kwok | Self::CoreDns => {
                (self.name().into(), Some(MASTERS))
            }
        }
    }

    /// The names it serves under; nothing for a client.
    fn serves(self) -> Vec<String> {
        let names: &[&str] = match self {
            Self::ApiServer => &[
                "localhost",
                network::LOOPBACK,
                network::API_SERVICE,
                network::NODE,
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
            ],
            Self::KubeletServer => &[REAL_NODE, network::NODE, network::LOOPBACK],
            _ => &[],
        };
        names.iter().map(ToString::to_string).collect()
    }
}

/// The keys and certificates of one run.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    pub(crate) fn of(layout: &Layout) -> Self {
        Self { folder: layout.certificates() }
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    pub(crate) fn authority_key(&self) -> PathBuf {
        self.folder.join("ca.key")
    }

    pub(crate) fn service_account_key(&self) -> PathBuf {
        self.folder.join("service-account.key")
    }

    pub(crate) fn service_account_public_key(&self) -> PathBuf {
        self.folder.join("service-account.pub")
    }

    pub(crate) fn certificate(&self, identity: Identity) -> PathBuf {
        self.folder.join(format!("{}.crt", identity.name()))
    }

    pub(crate) fn key(&self, identity: Identity) -> PathBuf {
        self.folder.join(format!("{}.key", identity.name()))
    }

    /// Makes them all, unless an earlier call of this run did.
    pub(crate) fn ensure(&self) -> Result<(), Error> {
        // Written last, so its presence tells that all are there.
        if self.service_account_key().is_file() {
            return Ok(());
        }
        let making = || "make the cluster's certificate authority".to_owned();
        let key = KeyPair::generate().doing(making)?;
        let mut authority = CertificateParams::default();
        authority.distinguished_name = distinguished_name("test-cluster", None);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = authority.self_signed(&key).doing(making)?;
        layout::write(&self.authority(), certificate.pem())?;
        layout::write(&self.authority_key(), key.serialize_pem())?;
        let issuer = Issuer::new(authority, key);
        for identity in Identity::ALL {
            self.issue(identity, &issuer)?;
        }
        let signing = KeyPair::generate().doing(|| "make the service accounts' signing key".into())?;
        layout::write(&self.service_account_public_key(), signing.public_key_pem())?;
        layout::write(&self.service_account_key(), signing.serialize_pem())
    }

    fn issue(&self, identity: Identity, issuer: &Issuer<'_, KeyPair>) -> Result<(), Error> {
        let making = || format!("make the certificate of {}", identity.name());
        let (user, group) = identity.user_and_group();
        let serves = identity.serves();
        let usage = if serves.is_empty() {
            ExtendedKeyUsagePurpose::ClientAuth
        } else {
            ExtendedKeyUsagePurpose::ServerAuth
        };
        let mut params = CertificateParams::new(serves).doing(making)?;
        params.distinguished_name = distinguished_name(&user, group);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().doing(making)?;
        let certificate = params.signed_by(&key, issuer).doing(making)?;
        layout::write(&self.certificate(identity), certificate.pem())?;
        layout::write(&self.key(identity), key.serialize_pem())
    }

    /// A kubeconfig with everything embedded, so that it can be copied anywhere.
    pub(crate) fn kubeconfig(&self, identity: Identity, server: &str) -> Result<String, Error> {
        let embedded = |path: PathBuf| {
            fs::read(&path).map(|pem| STANDARD.encode(pem)).doing(|| format!("read {}", path.display()))
        };
        let (authority, certificate) = (embedded(self.authority())?, embedded(self.certificate(identity))?);
        let key = embedded(self.key(identity))?;
        let user = identity.name();
        Ok(format!(
            "apiVersion: v1
kind: Config
clusters:
- name: test-cluster
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: test-cluster
  context:
    cluster: test-cluster
    user: {user}
current-context: test-cluster
"
        ))
    }
}

fn distinguished_name(user: &str, group: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, user);
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    name
}
