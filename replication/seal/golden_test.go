package seal

// goldenRecord is "meridian", sealed with key 5 (32 times 'k') for "golden".
const goldenRecord = "0100000005ef5dec10fde921caf0b89479d0d0b99cba90a651a8f6d6e0088635b838e5a571e6bb1859"
