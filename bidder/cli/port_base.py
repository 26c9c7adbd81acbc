"""`--port-base`: all doors of a host side by side, so that several hosts share a machine."""

from dataclasses import replace

from bidder.settings import Settings, SettingsError, Tracking, address

PORT_STEP = 1000  # --port-base B: every port becomes B + its last three digits


def with_port_base(settings: Settings, base: int) -> Settings:
    """Every port moved to `base` plus its last three digits; the public URL follows the tracker's."""
    if not 1024 <= base <= 64_000:
        raise SettingsError(f"--port-base {base}: 1024 to 64000 is wanted")

    def moved(port: int) -> int:
        return base + port % PORT_STEP

    def at(text: str) -> str:
        host, port = address(text)
        return f"{host}:{moved(port)}"

    public_url = settings.tracking.public_url
    if public_url == Tracking().public_url:
        public_url = f"http://{at(settings.tracker.listen)}"
    return replace(
        settings,
        bidder=replace(
            settings.bidder,
            listen=at(settings.bidder.listen),
            bus_listen=at(settings.bidder.bus_listen),
            metrics_listen=at(settings.bidder.metrics_listen) if settings.bidder.metrics_listen else "",
        ),
        tracker=replace(settings.tracker, listen=at(settings.tracker.listen)),
        tracking=replace(settings.tracking, public_url=public_url),
        controller=replace(
            settings.controller,
            listen=at(settings.controller.listen),
            announce_listen=at(settings.controller.announce_listen),
        ),
        monitor=replace(settings.monitor, listen=at(settings.monitor.listen)),
        postgres=replace(settings.postgres, port=moved(settings.postgres.port)),
        memcached=replace(settings.memcached, port=moved(settings.memcached.port)),
    )
