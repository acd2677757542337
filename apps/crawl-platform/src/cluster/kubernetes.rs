//! Jobs on Kubernetes.
