package gateway

const starvedChild = "VDI_GATEWAY_TEST_STARVED"
