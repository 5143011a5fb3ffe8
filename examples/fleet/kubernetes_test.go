package fleet_test

import (
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// drainSeconds is enough for a worker to pause its uploads and return its jobs.
const drainSeconds = 30

// manifest returns the objects in kubernetes.yaml. Fields that they do not have are errors.
func manifest(t *testing.T) (claim corev1.PersistentVolumeClaim, workers appsv1.Deployment) {
	t.Helper()
	text, err := os.ReadFile("kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(text), "\n---\n")
	if len(documents) != 2 {
		t.Fatalf("kubernetes.yaml has %d documents", len(documents))
	}
	if err := yaml.UnmarshalStrict([]byte(documents[0]), &claim); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict([]byte(documents[1]), &workers); err != nil {
		t.Fatal(err)
	}
	if claim.APIVersion != "v1" || claim.Kind != "PersistentVolumeClaim" || workers.APIVersion != "apps/v1" || workers.Kind != "Deployment" {
		t.Errorf("the objects are %s %s and %s %s", claim.APIVersion, claim.Kind, workers.APIVersion, workers.Kind)
	}
	return claim, workers
}

func TestManifest_WorkersReadSharedSource(t *testing.T) {
	claim, workers := manifest(t)
	if !slices.Equal(claim.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}) {
		t.Errorf("the source has the access modes %v", claim.Spec.AccessModes)
	}
	pod := workers.Spec.Template.Spec
	container := pod.Containers[0]
	roots := map[string]string{} // mount paths by claim or secret
	for _, mount := range container.VolumeMounts {
		i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		switch {
		case i < 0:
			t.Errorf("there is no volume %s", mount.Name)
		case !mount.ReadOnly:
			t.Errorf("%s can be written", mount.MountPath)
		case pod.Volumes[i].PersistentVolumeClaim != nil:
			roots[pod.Volumes[i].PersistentVolumeClaim.ClaimName] = mount.MountPath
		case pod.Volumes[i].Secret != nil:
			roots[pod.Volumes[i].Secret.SecretName] = path.Join(mount.MountPath, pod.Volumes[i].Secret.Items[0].Path)
		}
	}
	for _, flag := range []string{"--root=" + roots[claim.Name], "--token-file=" + roots["tusup"]} {
		if !slices.Contains(container.Args, flag) {
			t.Errorf("the arguments %q lack %s", container.Args, flag)
		}
	}
}

func TestManifest_PodsAreSelectedAndProbed(t *testing.T) {
	_, workers := manifest(t)
	template := workers.Spec.Template
	if len(workers.Spec.Selector.MatchLabels) == 0 || !maps.Equal(workers.Spec.Selector.MatchLabels, template.Labels) {
		t.Errorf("the selector is %v, and the labels are %v", workers.Spec.Selector.MatchLabels, template.Labels)
	}
	container := template.Spec.Containers[0]
	if probe := container.ReadinessProbe.HTTPGet; probe.Path != "/metrics" || probe.Port.StrVal != container.Ports[0].Name {
		t.Errorf("the probe requests %s at port %s", probe.Path, probe.Port.StrVal)
	}
	if container.Ports[0].ContainerPort != 9090 || !slices.Contains(container.Args, "--metrics=:9090") {
		t.Errorf("the arguments %q do not serve port %d", container.Args, container.Ports[0].ContainerPort)
	}
	if least := container.Lifecycle.PreStop.Sleep.Seconds + drainSeconds; *template.Spec.TerminationGracePeriodSeconds < least {
		t.Errorf("a pod is killed after %d s, want at least %d s", *template.Spec.TerminationGracePeriodSeconds, least)
	}
}

func TestManifest_PasswordsAreInSecret(t *testing.T) {
	_, workers := manifest(t)
	for _, env := range workers.Spec.Template.Spec.Containers[0].Env {
		isSecret := env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil && env.ValueFrom.SecretKeyRef.Name == "tusup"
		if env.Name != "TUS_ENDPOINT" && !isSecret {
			t.Errorf("%s is not from the secret", env.Name)
		}
	}
}
