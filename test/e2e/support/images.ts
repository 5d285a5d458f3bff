/** What `build-images.sh` makes, and a cluster has to have. */
export const OPERATOR_IMAGE = "localhost/naru-operator:e2e";
export const RUNTIME_IMAGE = "localhost/naru-runtime:e2e";
