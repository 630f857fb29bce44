"""The manifests in deploy/kubernetes: rules that their schemas cannot check."""

import re
import shutil
import subprocess
from typing import Any
from unittest import TestCase

import pytest
import yaml

import manage
from project import config
from project.tests.support import image
from project.tests.support.paths import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
NOT_APPLIED = {"kustomization.yaml", "secret.example.yaml", "ingress.example.yaml"}
SERVER = {"app.kubernetes.io/component": "server"}
GOOD = {
    "SECRET_KEY": "f3b1c4d5e6a798071625344352617081",
    "DATABASE_URL": "postgresql://users@database/users",
}


def manifests() -> dict[tuple[str, str], Any]:
    """Return every object by its kind and name."""
    found = (one for file in FOLDER.glob("*.yaml") for one in yaml.safe_load_all(file.read_text()))
    named = (one for one in found if one["kind"] != "Kustomization")
    return {(one["kind"], one["metadata"]["name"]): one for one in named}


def pods(objects: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """Return the pod templates, by the kind of the object that creates them."""
    return {
        "Deployment": objects["Deployment", "users"]["spec"]["template"],
        "Job": objects["Job", "users-migration"]["spec"]["template"],
        "CronJob": objects["CronJob", "users-purge"]["spec"]["jobTemplate"]["spec"]["template"],
    }


class ManifestsCase(TestCase):
    """Loads the manifests."""

    def setUp(self) -> None:
        self.objects = manifests()
        self.pods = pods(self.objects)
        self.server = self.pods["Deployment"]["spec"]["containers"][0]
        self.settings = self.objects["ConfigMap", "users-settings"]["data"]
        self.secrets = self.objects["Secret", "users-secrets"]["stringData"]
        self.autoscaler = self.objects["HorizontalPodAutoscaler", "users"]["spec"]
        self.deployment = self.objects["Deployment", "users"]["spec"]
        self.kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())


@pytest.mark.any_database
class TestReferences(ManifestsCase):
    """References between the manifests."""

    def test_every_file_is_applied(self) -> None:
        files = {file.name for file in FOLDER.glob("*.yaml")}
        self.assertEqual(set(self.kustomization["resources"]), files - NOT_APPLIED)

    def test_every_selector_matches_the_servers_and_no_other_pod(self) -> None:
        selectors = [
            self.deployment["selector"]["matchLabels"],
            self.objects["Service", "users-service"]["spec"]["selector"],
            self.objects["PodDisruptionBudget", "users"]["spec"]["selector"]["matchLabels"],
            self.objects["NetworkPolicy", "users-server"]["spec"]["podSelector"]["matchLabels"],
        ]
        spread = self.pods["Deployment"]["spec"]["topologySpreadConstraints"]
        selectors += [constraint["labelSelector"]["matchLabels"] for constraint in spread]
        self.assertEqual(selectors, [SERVER] * len(selectors))
        found = [kind for kind, pod in self.pods.items() if pod["metadata"]["labels"] == SERVER]
        self.assertEqual(found, ["Deployment"])

    def test_the_port_is_the_same_everywhere(self) -> None:
        (port,) = self.server["ports"]
        self.assertIn(f"EXPOSE {port['containerPort']}\n", image.DOCKERFILE)
        (served,) = self.objects["Service", "users-service"]["spec"]["ports"]
        self.assertEqual(served["targetPort"], port["name"])
        (rule,) = self.objects["NetworkPolicy", "users-server"]["spec"]["ingress"]
        self.assertEqual([one["port"] for one in rule["ports"]], [port["containerPort"]])

    def test_the_autoscaler_scales_the_deployment(self) -> None:
        self.assertEqual(self.autoscaler["scaleTargetRef"]["name"], "users")
        self.assertNotIn("replicas", self.deployment)

    def test_pods_refer_to_existing_settings_secrets_and_accounts(self) -> None:
        for pod in self.pods.values():
            (container,) = pod["spec"]["containers"]
            for source in container["envFrom"]:
                ((kind, of),) = source.items()
                names = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
                self.assertIn((names[kind], of["name"]), self.objects)
            self.assertIn(("ServiceAccount", pod["spec"]["serviceAccountName"]), self.objects)

    def test_pods_can_connect_to_dns_and_the_database_only(self) -> None:
        policy = self.objects["NetworkPolicy", "users"]["spec"]
        self.assertEqual((policy["podSelector"], policy.get("ingress")), ({}, None))
        self.assertEqual(policy["policyTypes"], ["Ingress", "Egress"])
        ports = {one["port"] for rule in policy["egress"] for one in rule["ports"]}
        self.assertEqual(ports, {53, 5432})

    def test_the_servers_alone_reach_a_mail_server(self) -> None:
        policy = self.objects["NetworkPolicy", "users-server"]["spec"]
        self.assertEqual(policy["policyTypes"], ["Ingress", "Egress"])
        (rule,) = policy["egress"]
        ports = [(one["port"], one["protocol"]) for one in rule["ports"]]
        self.assertEqual((ports, rule.get("to")), ([(465, "TCP"), (587, "TCP")], None))

    def test_other_services_can_connect_if_pod_and_namespace_have_the_label(self) -> None:
        (rule,) = self.objects["NetworkPolicy", "users-server"]["spec"]["ingress"]
        label = {"matchLabels": {"users-client": "true"}}
        self.assertIn({"namespaceSelector": label, "podSelector": label}, rule["from"])
        for peer in rule["from"]:
            self.assertEqual(set(peer), {"namespaceSelector", "podSelector"})
        page = (ROOT / "docs" / "several-servers.md").read_text()
        self.assertIn("kubectl label namespace shop users-client=true\n", page)

    def test_the_ingress_passes_the_routes_of_clients_to_the_service(self) -> None:
        ingress = self.objects["Ingress", "users"]["spec"]
        ((host, paths),) = ((rule["host"], rule["http"]["paths"]) for rule in ingress["rules"])
        self.assertEqual(ingress["tls"][0]["hosts"], [host])
        served = self.objects["Service", "users-service"]
        (port,) = served["spec"]["ports"]
        for path in paths:
            backend = path["backend"]["service"]
            self.assertEqual(backend["name"], served["metadata"]["name"])
            self.assertEqual(backend["port"], {"name": port["name"]})
        prefixes = tuple(path["path"] for path in paths)
        inside = {rule for rule in image.paths() if not rule.startswith(prefixes)}
        public = image.paths() - inside
        self.assertLessEqual({"/auth/login", "/users/<user_id>", "/ping"}, public)
        self.assertFalse([rule for rule in public if rule.startswith(("/metrics", "/health"))])

    def test_kustomize_sets_the_version_of_every_pod(self) -> None:
        if shutil.which("kubectl") is None:
            self.skipTest("kubectl is not installed")
        command = ["kubectl", "kustomize", str(FOLDER)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        images = re.findall(r"image: (\S+)", done.stdout)
        (chosen,) = self.kustomization["images"]
        self.assertEqual(images, [f"{chosen['newName']}:{chosen['newTag']}"] * 3)


@pytest.mark.any_database
class TestServiceAndImage(ManifestsCase):
    """References from the manifests to the service and its image."""

    def test_the_image_reads_every_variable(self) -> None:
        self.assertLessEqual({*self.settings, *self.secrets}, image.VARIABLES)
        self.assertLessEqual(image.REQUIRED, set(self.secrets))
        self.assertEqual(set(self.secrets.values()), {""})

    def test_production_starts_with_these_settings(self) -> None:
        loaded = config.load(environment=self.settings | self.secrets | GOOD)
        self.assertTrue(loaded["STRICT"])
        self.assertEqual(str(loaded["DRAIN_SECONDS"]), self.settings["DRAIN_SECONDS"])

    def test_the_probes_request_existing_routes(self) -> None:
        probes = {
            name: self.server[f"{name}Probe"] for name in ("startup", "liveness", "readiness")
        }
        paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
        live, ready = "/health/live", "/health/ready"
        self.assertEqual(paths, {"startup": live, "liveness": live, "readiness": ready})
        self.assertLessEqual(set(paths.values()), image.paths())
        ports = {probe["httpGet"]["port"] for probe in probes.values()}
        self.assertEqual(ports, {self.server["ports"][0]["name"]})

    def test_the_grace_period_covers_the_shutdown(self) -> None:
        given = self.pods["Deployment"]["spec"]["terminationGracePeriodSeconds"]
        self.assertGreater(given, image.max_shutdown_seconds(self.settings))

    def test_the_readiness_probe_fails_while_a_pod_drains(self) -> None:
        probe = self.server["readinessProbe"]
        seen_after = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
        self.assertLessEqual(seen_after, int(self.settings["DRAIN_SECONDS"]))

    def test_no_pod_stops_before_its_replacement_is_ready(self) -> None:
        strategy = self.deployment["strategy"]["rollingUpdate"]
        self.assertEqual((strategy["maxUnavailable"], strategy["maxSurge"]), (0, 1))

    def test_each_pod_runs_the_command_of_its_name(self) -> None:
        manage.manager.set_defaults()
        args = {kind: pod["spec"]["containers"][0]["args"] for kind, pod in self.pods.items()}
        self.assertEqual((args["Deployment"], args["Job"]), (["serve"], ["migrate"]))
        self.assertIn("\n    migrate)\n", image.ENTRYPOINT)
        self.assertEqual(args["CronJob"], ["python", "manage.py", "purge"])
        self.assertIn("purge", manage.manager._commands)

    def test_every_pod_runs_as_the_images_user_without_privileges(self) -> None:
        (user, group) = re.findall(r"(?m)^USER (\d+):(\d+)$", image.DOCKERFILE)[0]
        for pod in (one["spec"] for one in self.pods.values()):
            context, (container,) = pod["securityContext"], pod["containers"]
            self.assertEqual((context["runAsUser"], context["runAsGroup"]), (int(user), int(group)))
            self.assertTrue(context["runAsNonRoot"])
            self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertIs(pod["automountServiceAccountToken"], False)
            self.assertEqual(
                container["securityContext"],
                {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            )

    def test_every_image_has_a_version(self) -> None:
        (chosen,) = self.kustomization["images"]
        self.assertRegex(chosen["newTag"], r"^[0-9]")
        used = {pod["spec"]["containers"][0]["image"] for pod in self.pods.values()}
        self.assertEqual(used, {chosen["name"]})

    def test_there_are_not_more_hashing_threads_than_processors(self) -> None:
        threads = int(self.settings["HASH_THREADS"]) * int(self.settings["WEB_CONCURRENCY"])
        self.assertLessEqual(threads, int(self.server["resources"]["limits"]["cpu"]))

    def test_the_comment_on_max_connections_covers_all_pods(self) -> None:
        text = (FOLDER / "horizontalpodautoscaler.yaml").read_text()
        (probes,) = re.findall(r"must be (\d+) or more", text)
        each = int(self.settings["WEB_CONCURRENCY"]) * image.CONNECTIONS_A_WORKER
        at_most = (self.autoscaler["maxReplicas"] + 1) * each + image.RESERVED
        self.assertEqual(int(probes), at_most)
        self.assertIn(f"may open {each} connections", text)
