package tariff

type Rate struct{ PerUnit float32 }
