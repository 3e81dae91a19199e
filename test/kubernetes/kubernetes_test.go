package kubernetes

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const folder = "../../deploy/kubernetes"

// TestRestricted renders the folder and checks what comes out.
func TestRestricted(t *testing.T) {
	text := render(t)
	if file := os.Getenv("MILLSTREAM_TEST_RENDERED"); file != "" {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := decode(t, text)
	t.Run("pod security", func(t *testing.T) { checkPodSecurity(t, o) })
	t.Run("names", func(t *testing.T) { checkNames(t, o) })
	t.Run("pod", func(t *testing.T) { checkPod(t, o.deployment.Spec.Template.Spec) })
	t.Run("standby", func(t *testing.T) { checkStandby(t, o) })
}

// TestSecretIsNeeded holds that nothing is rendered without secret.env, so that
// nothing runs with passwords that everybody knows.
func TestSecretIsNeeded(t *testing.T) {
	dir := copied(t)
	if _, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir); err == nil || !strings.Contains(err.Error(), "secret.env") {
		t.Errorf("without secret.env: %v", err)
	}
	example, err := os.ReadFile(filepath.Join(folder, "secret.env.example"))
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?m)^[a-z-]+=.+$`).Find(example); m != nil {
		t.Errorf("secret.env.example gives %s", m)
	}
}

// TestPipeline holds that the pipeline is the skeleton's.
func TestPipeline(t *testing.T) {
	want, err := os.ReadFile("../../examples/skeleton/pipeline.sql")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(folder, "pipeline.sql")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("deploy/kubernetes/pipeline.sql differs from examples/skeleton/pipeline.sql (%v): copy it", err)
	}
}

// copied is a copy of the folder, without a user's secret.env.
func copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(f) == "secret.env" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func render(t *testing.T) []byte {
	t.Helper()
	dir := copied(t)
	secret := "database-url=postgres://millstream:a-password@postgres:5432/millstream\napi-key=0123456789abcdef0123456789abcdef\n"
	if err := os.WriteFile(filepath.Join(dir, "secret.env"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := out.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// objects are what is rendered: one of each kind, by name where there are more.
type objects struct {
	deployment *appsv1.Deployment
	service    *corev1.Service
	account    *corev1.ServiceAccount
	namespace  *corev1.Namespace
	policy     *networkingv1.NetworkPolicy
	budget     *policyv1.PodDisruptionBudget
	configs    map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
}

// decode takes no field that the API does not have, and none twice.
func decode(t *testing.T, text []byte) *objects {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	strict := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	o := &objects{configs: map[string]*corev1.ConfigMap{}, secrets: map[string]*corev1.Secret{}}
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		object, _, err := strict.Decode(doc, nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		switch v := object.(type) {
		case *appsv1.Deployment:
			o.deployment = v
		case *corev1.Service:
			o.service = v
		case *corev1.ServiceAccount:
			o.account = v
		case *corev1.Namespace:
			o.namespace = v
		case *networkingv1.NetworkPolicy:
			o.policy = v
		case *policyv1.PodDisruptionBudget:
			o.budget = v
		case *corev1.ConfigMap:
			o.configs[v.Name] = v
		case *corev1.Secret:
			o.secrets[v.Name] = v
		default:
			t.Errorf("nothing is checked of %T", object)
		}
	}
	if o.deployment == nil || o.service == nil || o.account == nil || o.namespace == nil || o.policy == nil || o.budget == nil || len(o.configs) != 2 || len(o.secrets) != 1 {
		t.Fatalf("an object is missing: %+v", o)
	}
	return o
}

// checkPodSecurity asks the rules that a cluster applies in this namespace.
func checkPodSecurity(t *testing.T, o *objects) {
	level := o.namespace.Labels[psa.EnforceLevelLabel]
	if level != string(psa.LevelRestricted) {
		t.Errorf("the namespace enforces %q", level)
	}
	rules, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := o.deployment.Spec.Template
	at := psa.LevelVersion{Level: psa.LevelRestricted, Version: psa.LatestVersion()}
	for _, r := range rules.EvaluatePod(at, &pod.ObjectMeta, &pod.Spec) {
		if !r.Allowed {
			t.Errorf("%s: %s", r.ForbiddenReason, r.ForbiddenDetail)
		}
	}
}

// checkNames holds names that must agree: a service that selects no pod is
// valid, and useless.
func checkNames(t *testing.T, o *objects) {
	spec := o.deployment.Spec
	pod := labels.Set(spec.Template.Labels)
	for what, selector := range map[string]*metav1.LabelSelector{
		"deployment": spec.Selector, "service": {MatchLabels: o.service.Spec.Selector}, "network policy": &o.policy.Spec.PodSelector,
		"disruption budget": o.budget.Spec.Selector, "topology spread": spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector,
	} {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() || !s.Matches(pod) {
			t.Errorf("the %s's selector %v does not choose the pods, whose labels are %v (%v)", what, selector, pod, err)
		}
	}
	if spec.Template.Spec.ServiceAccountName != o.account.Name {
		t.Errorf("the account of the pod is %q", spec.Template.Spec.ServiceAccountName)
	}
	ports := map[string]bool{}
	for _, p := range spec.Template.Spec.Containers[0].Ports {
		ports[p.Name] = true
	}
	if target := o.service.Spec.Ports[0].TargetPort.String(); !ports[target] {
		t.Errorf("the service leads to port %q", target)
	}
	if port := o.policy.Spec.Ingress[0].Ports[0].Port.String(); !ports[port] {
		t.Errorf("the network policy opens port %q", port)
	}
	for _, v := range spec.Template.Spec.Volumes {
		if v.ConfigMap != nil && o.configs[v.ConfigMap.Name] == nil || v.Secret != nil && o.secrets[v.Secret.SecretName] == nil {
			t.Errorf("volume %s is of something that is not there", v.Name)
		}
	}
	if ref := spec.Template.Spec.Containers[0].EnvFrom[0].ConfigMapRef; ref == nil || o.configs[ref.Name] == nil {
		t.Errorf("the settings %v are not there", ref)
	}
}

// checkStandby holds that pods may run side by side: without --standby they
// would take the pipeline from each other, and without their addresses they
// could not pass requests on.
func checkStandby(t *testing.T, o *objects) {
	spec := o.deployment.Spec
	c := spec.Template.Spec.Containers[0]
	if !slices.Contains(c.Args, "--standby") {
		t.Errorf("the pods are started by %v", c.Args)
	}
	if spec.Replicas == nil || *spec.Replicas < 2 || o.budget.Spec.MinAvailable.IntValue() >= int(*spec.Replicas) {
		t.Errorf("of %v pods, %v must be there: nodes can't be drained, or nobody stands by", spec.Replicas, o.budget.Spec.MinAvailable)
	}
	ip := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool {
		return e.Name == "POD_IP" && e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "status.podIP"
	})
	at := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool {
		return e.Name == "MILLSTREAM_ADVERTISE" && e.Value == fmt.Sprintf("http://$(POD_IP):%d", c.Ports[0].ContainerPort)
	})
	if ip < 0 || at < ip { // a variable is known to those after it
		t.Errorf("the pod does not tell its address: %v", c.Env)
	}
}

// checkPod holds what the pod promises beyond pod security.
func checkPod(t *testing.T, pod corev1.PodSpec) {
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	c := pod.Containers[0]
	if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
		t.Error("the root file system can be written")
	}
	if !regexp.MustCompile(`:\d+\.\d+\.\d+$`).MatchString(c.Image) {
		t.Errorf("image %s is not pinned by version", c.Image)
	}
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Error("no resources are asked for, or memory has no limit")
	}
	for name, probe := range map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != name || probe.HTTPGet.Port.String() != "http" {
			t.Errorf("the probe of %s: %v", name, probe)
		}
	}
	if c.StartupProbe == nil {
		t.Error("a slow start is taken for a hang")
	}
	const drain = 30 // seconds, which the program may take to end
	if pod.TerminationGracePeriodSeconds == nil || *pod.TerminationGracePeriodSeconds <= drain {
		t.Error("the pod may be killed while it commits")
	}
	for _, e := range c.Env {
		if strings.Contains(e.Name, "PASSWORD") || e.Name == "DATABASE_URL" || e.Name == "MILLSTREAM_API_KEY" {
			t.Errorf("secret %s is in the environment, which other tools show", e.Name)
		}
	}
}
